/* Shapley values of trees, path-dependent. `tree_shap.py` says how, and does the same in numpy. Whatever a file holds,
 * nothing outside its arrays is read: each child is checked to lie behind its parent and inside its tree. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_BOUNDS = -2, NO_MEMORY = -3 };

#define LEAF 0x80000000u
#define MISSING_LEFT 0x40000000u
#define CATEGORY 0x20000000u
#define FEATURE 0x00FFFFFFu

typedef struct { double value; uint32_t link, feature; } Node;

/* The edge into a node: its parent (-1 where no row leads here), the nearest edge above it of the same player (0 for
 * none), the player's feature, and the factor of the player's edges so far with the player known, and unknown. */
typedef struct { int32_t parent, above; int64_t player, owner; double known, unknown; } Edge;

typedef struct {
    Py_buffer nodes, roots, covers, leaf_values, bitsets, targets, players, owners, points, weights, rows, out;
    Py_ssize_t words, outputs, features, slots, trees, count, degree, sets, vector;
} Job;

static uint64_t bits(double value) { uint64_t made; memcpy(&made, &value, sizeof made); return made; }

static int goes_left(const Job *j, const Node *node, double x) {
    if (node->feature & CATEGORY) {
        uint64_t row = bits(node->value);
        if (row >= (uint64_t)j->sets) return OUT_OF_BOUNDS;
        if (!(x >= 0.0 && x < 32.0 * (double)j->words)) return (node->feature & MISSING_LEFT) != 0;
        uint32_t code = (uint32_t)x;
        return ((const uint32_t *)j->bitsets.buf)[row * (uint64_t)j->words + (code >> 5)] >> (code & 31) & 1;
    }
    return x <= node->value || (x != x && node->feature & MISSING_LEFT);
}

static double factor(double t, double known, double unknown) { return unknown + t * (known - unknown); }

/* Follows one edge: what its player's factor is now, and the product of all factors at each point. */
static void follow(const Job *j, Edge *edges, double *products, uint32_t at, uint32_t child, int64_t slot, double known,
                   double unknown) {
    const double *points = j->points.buf;
    Edge *edge = edges + child;
    int64_t player = ((const int64_t *)j->players.buf)[slot];
    int32_t above = (int32_t)at;
    while (above && edges[above].player != player) above = edges[above].parent;
    const Edge *before = above ? edges + above : NULL;
    edge->above = above;
    edge->player = player;
    edge->owner = ((const int64_t *)j->owners.buf)[slot];
    edge->known = before ? before->known * known : known;
    edge->unknown = before ? before->unknown * unknown : unknown;
    if (edge->known == 0.0 && edge->unknown == 0.0) return;  /* no part of any sum */
    edge->parent = (int32_t)at;
    for (Py_ssize_t q = 0; q < j->degree; q++) {
        double now = factor(points[q], edge->known, edge->unknown);
        double then = before ? factor(points[q], before->known, before->unknown) : 1.0;
        products[child * j->degree + q] = products[at * j->degree + q] * now / then;
    }
}

static int descend(const Job *j, const Node *tree, const double *covers, uint32_t size, const double *row, Edge *edges,
                   double *products) {
    for (uint32_t at = 0; at < size; at++) edges[at].parent = -1;
    edges[0].parent = 0;
    for (Py_ssize_t q = 0; q < j->degree; q++) products[q] = 1.0;
    for (uint32_t at = 0; at < size; at++) {
        const Node *node = tree + at;
        if (edges[at].parent < 0 || node->feature & LEAF) continue;
        int64_t slot = node->feature & FEATURE;
        uint32_t child[2] = {at + 1, node->link};
        if (slot >= j->slots || child[1] <= child[0] || child[1] >= size) return OUT_OF_BOUNDS;
        int left = goes_left(j, node, row[slot]);
        if (left < 0) return OUT_OF_BOUNDS;
        for (int side = 0; side < 2; side++) {
            double share = covers[at] > 0.0 ? covers[child[side]] / covers[at] : 0.5;
            follow(j, edges, products, at, child[side], slot, (double)(side != left), share);
        }
    }
    return 0;
}

/* Sums leaves upwards, and adds to each edge's feature what the edge changes. */
static int ascend(const Job *j, const Node *tree, uint32_t size, const Edge *edges, const double *products, double *sums,
                  Py_ssize_t output, double *out) {
    const double *points = j->points.buf, *weights = j->weights.buf, *leaf_values = j->leaf_values.buf;
    const Py_ssize_t wide = j->vector ? j->outputs : 1, degree = j->degree;
    memset(sums, 0, (size_t)(size * wide * degree) * sizeof *sums);
    for (uint32_t at = size - 1; at > 0; at--) {
        const Edge *edge = edges + at;
        if (edge->parent < 0) continue;
        double *own = sums + at * wide * degree;
        if (tree[at].feature & LEAF) {
            uint64_t place = bits(tree[at].value);
            if (j->vector && place >= (uint64_t)j->vector) return OUT_OF_BOUNDS;
            for (Py_ssize_t o = 0; o < wide; o++) {
                double value = j->vector ? leaf_values[place * (uint64_t)wide + (uint64_t)o] : tree[at].value;
                for (Py_ssize_t q = 0; q < degree; q++) own[o * degree + q] = value * products[at * degree + q];
            }
        }
        double *parent = sums + edge->parent * wide * degree;
        const Edge *before = edge->above ? edges + edge->above : NULL;
        for (Py_ssize_t q = 0; q < degree; q++) {
            double change = (edge->known - edge->unknown) / factor(points[q], edge->known, edge->unknown);
            if (before) change -= (before->known - before->unknown) / factor(points[q], before->known, before->unknown);
            for (Py_ssize_t o = 0; o < wide; o++) {
                double *total = out + (j->vector ? o : output) * j->features + edge->owner;
                *total += weights[q] * change * own[o * degree + q];
                parent[o * degree + q] += own[o * degree + q];
            }
        }
    }
    return 0;
}

static int compute(const Job *j) {
    const int64_t *roots = j->roots.buf, *targets = j->targets.len ? j->targets.buf : NULL;
    const Node *nodes = j->nodes.buf;
    const double *covers = j->covers.buf, *rows = j->rows.buf;
    int64_t largest = 1;
    int status = 0;
    for (Py_ssize_t t = 0; t < j->trees; t++)
        if (roots[t + 1] - roots[t] > largest) largest = roots[t + 1] - roots[t];
    size_t wide = (size_t)(j->vector ? j->outputs : 1), degree = (size_t)j->degree, most = (size_t)largest;
    Edge *edges = malloc(most * sizeof *edges);
    double *products = malloc(most * degree * sizeof *products), *sums = malloc(most * degree * wide * sizeof *sums);
    if (!edges || !products || !sums) status = NO_MEMORY;
    memset(j->out.buf, 0, (size_t)j->out.len);
    for (Py_ssize_t r = 0; r < j->count && !status; r++) {
        double *out = (double *)j->out.buf + r * j->outputs * j->features;
        for (Py_ssize_t t = 0; t < j->trees && !status; t++) {
            uint32_t size = (uint32_t)(roots[t + 1] - roots[t]);
            const Node *tree = nodes + roots[t];
            Py_ssize_t output = targets ? (Py_ssize_t)targets[t] : t % j->outputs;
            status = descend(j, tree, covers + roots[t], size, rows + r * j->slots, edges, products);
            if (!status) status = ascend(j, tree, size, edges, products, sums, output, out);
        }
    }
    free(edges);
    free(products);
    free(sums);
    return status;
}

/* `contributions(...)`: fills `out` (rows, outputs, features); 0, or a status below zero. Shapes and the numbers in
 * roots, targets and owners are checked by the caller. */
static PyObject *contributions(PyObject *module, PyObject *arguments) {
    Job j = {0};
    int status;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*y*y*y*y*y*y*y*w*nnn", &j.nodes, &j.roots, &j.covers, &j.leaf_values,
                          &j.bitsets, &j.targets, &j.players, &j.owners, &j.points, &j.weights, &j.rows, &j.out,
                          &j.words, &j.outputs, &j.features)) return NULL;
    j.slots = j.players.len / 8;
    j.trees = j.roots.len / 8 - 1;
    j.degree = j.points.len / 8;
    j.count = j.rows.len / 8 / (j.slots ? j.slots : 1);
    j.sets = j.bitsets.len / 4 / j.words;
    j.vector = j.leaf_values.len / 8 / j.outputs;
    int fits = j.covers.len / 8 == j.nodes.len / (Py_ssize_t)sizeof(Node) && j.owners.len == j.players.len &&
               j.weights.len == j.points.len && j.out.len == j.count * j.outputs * j.features * 8;
    if (!fits) status = OUT_OF_BOUNDS;
    else {
        Py_BEGIN_ALLOW_THREADS
        status = compute(&j);
        Py_END_ALLOW_THREADS
    }
    Py_buffer *views[] = {&j.nodes, &j.roots, &j.covers, &j.leaf_values, &j.bitsets, &j.targets, &j.players, &j.owners,
                          &j.points, &j.weights, &j.rows, &j.out};
    for (size_t view = 0; view < sizeof views / sizeof *views; view++) PyBuffer_Release(views[view]);
    return status == NO_MEMORY ? PyErr_NoMemory() : PyLong_FromLong(status);
}

static PyMethodDef methods[] = {
    {"contributions", contributions, METH_VARARGS, "Fill the contributions of features to the scores of trees."},
    {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot module_slots[] = {{0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_tree_shap", "Shapley values of trees.", 0, methods,
                                    module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__tree_shap(void) { return PyModuleDef_Init(&module); }
