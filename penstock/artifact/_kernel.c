/* Walks trees and linear models over columns. `program.py` says what the instructions, links and flags mean;
 * `kernel_numpy.py` does the same with the same bits. Whatever a file holds, nothing outside its arrays is read:
 * what the file's header says is checked before it comes here, what its arrays say is checked where it is used. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER, TEXT, CODE, TABLE, ONE_HOT, SUBTRACT, DIVIDE, MULTIPLY, ADD, CLIP, FILL, MISSING, FINITE, FLOAT32,
       KNOWN, COPY, MODEL, NEAR_ZERO, TRUNCATE, FLOOR, PLUS, MINUS, TIMES, OVER, FUNCTION, INTERPOLATE, ABOVE,
       GREATER, MEDIAN, POWER, TERMS, REMAINDER };
enum { IDENTITY, LOG, LOGIT, HALF_LOGIT, SOFTMAX, ONE_VS_REST, CLIPPED, CLIPPED_ONE_VS_REST, EXPIT, SOFTPLUS,
       SIGNED_SQUARE, SINGLE_LOGIT, SINGLE_SOFTMAX, SINGLE_LOG, SINGLE_EXPIT, HINGE, STEP };
enum { EXP, EXPM1, LN, LOG1P, LOG2, LOG10, SQRT, SQUARE, ABSOLUTE, SIGMOID, TANH, RELU, RECIPROCAL, NEGATIVE,
       CUBE_ROOT, SINE, COSINE, TANGENT, ARCSINE, ARCCOSINE, ARCTANGENT, SINH, COSH, ARCSINH, ARCCOSH, ARCTANH, EXP2, SIGN,
       CEILING, ROUND, NORMAL_QUANTILE };
enum { TREES, LINEAR, SLOTS };
enum { PREDICTION, RAW, LEAVES, INPUTS };
/* What `run` answers below zero; zero is success, above it is the number of the refusing instruction + 1. */
enum { NOT_CANONICAL = -1, OUT_OF_BOUNDS = -2, NO_MEMORY = -3, RAISED = -4 };

#define LEAF 0x80000000u
#define MISSING_LEFT 0x40000000u
#define CATEGORY 0x20000000u
#define FEATURE 0x00FFFFFFu
#define MOST_WORDS 64      /* of a set of categories in a tree that is sifted */
#define BLOCK 256          /* rows that share one pass over a tree */
#define WORKSPACE 1048576  /* doubles of slots or scores at most, unless one row needs more */
#define RELEASE 2048       /* rows times (trees + slots) from which the GIL is released */
#define MANY 24            /* rows from which on a tree is sifted instead of walked */
#define MOST_LEAVES 64     /* of a tree that is sifted: one bit each */
#define MOST_LEVELS 16     /* of a tree that is descended */

#if defined(__x86_64__) && defined(__GLIBC__)
#define FASTEST __attribute__((target_clones("avx2", "default")))
#else
#define FASTEST
#endif

typedef struct { double value; uint32_t link, feature; } Node;
typedef struct { int64_t op, source, target, start, count, extra; } Instruction;
typedef struct { const char *data; Py_ssize_t stride; } Column;
typedef struct { Py_buffer ends, places, values; } Terms;  /* sparse rows, see `terms.py` */
typedef struct { double value; uint64_t right; uint32_t feature; } Split;
typedef struct { uint16_t *of; char *made; } Codes;  /* the slots as categories, each where it is `made` */
typedef struct { int splits; Split split[MOST_LEAVES]; const Node *leaf[MOST_LEAVES]; } Sieve;

/* One scorer: trees, a linear model, or slots that are the scores themselves. */
typedef struct {
    Py_buffer nodes, roots, leaf_values, bitsets, base, coefficients, inputs, targets;
    Py_ssize_t slots, outputs, columns, trees, width, sets, words;
    int engine, vector, link, single;
    double divisor, mean_of, factor;
    unsigned char *levels;  /* of each tree: its depth if `descend` takes it, otherwise 0 */
} Model;

/* The last of the models answers; instructions ask the others. */
typedef struct {
    PyObject_HEAD
    PyObject *names, *dictionaries, *vectorizers;
    Py_buffer program, constants;
    Py_ssize_t features, slots, count, trees, widest;
    Model *models;
} Kernel;

typedef struct { double *slots, *raw, *finished; Codes categories; } Workspace;

static Py_ssize_t items(const Py_buffer *view, size_t size) { return view->len / (Py_ssize_t)size; }
static uint64_t bits(double value) { uint64_t made; memcpy(&made, &value, sizeof made); return made; }

/* ---- links: libm's exp, as scipy's expit does; the sums in order */

static double expit(double x) { return 1.0 / (1.0 + exp(-x)); }

/* XGBoost's, in its float32. */
static double single_expit(double x) {
    float negated = -(float)x;
    float denominator = expf(negated > 88.7f ? 88.7f : negated) + 1.0f + 1e-16f;
    return (double)(1.0f / denominator);
}

static void normalise(double *row, Py_ssize_t n) {
    double sum = 0.0;
    for (Py_ssize_t k = 0; k < n; k++) sum += row[k];
    for (Py_ssize_t k = 0; k < n; k++) row[k] = sum == 0.0 ? 1.0 / (double)n : row[k] / sum;
}

static void finish(const Model *m, double *raw, double *out) {
    const int link = m->link;
    const Py_ssize_t n = m->outputs;
    if (m->mean_of != 1.0 || m->factor != 1.0)
        for (Py_ssize_t k = 0; k < n; k++) raw[k] = raw[k] / m->mean_of * m->factor;
    double high = raw[0];
    switch (link) {
    case LOG:
        for (Py_ssize_t k = 0; k < n; k++) out[k] = exp(raw[k]);
        break;
    case LOGIT: case HALF_LOGIT:
        out[1] = expit(link == LOGIT ? raw[0] : 2.0 * raw[0]);
        out[0] = 1.0 - out[1];
        break;
    case SOFTMAX:
        for (Py_ssize_t k = 1; k < n; k++) high = raw[k] > high ? raw[k] : high;
        for (Py_ssize_t k = 0; k < n; k++) out[k] = exp(raw[k] - high);
        normalise(out, n);
        break;
    case ONE_VS_REST:
        for (Py_ssize_t k = 0; k < n; k++) out[k] = expit(raw[k]);
        normalise(out, n);
        break;
    case CLIPPED: case CLIPPED_ONE_VS_REST:
        for (Py_ssize_t k = 0; k < n; k++) {
            double clipped = raw[k] < -1.0 ? -1.0 : raw[k] > 1.0 ? 1.0 : raw[k];
            out[link == CLIPPED ? 1 : k] = (clipped + 1.0) / 2.0;
        }
        if (link == CLIPPED) out[0] = 1.0 - out[1];
        else normalise(out, n);
        break;
    case EXPIT: for (Py_ssize_t k = 0; k < n; k++) out[k] = expit(raw[k]); break;
    case SOFTPLUS: for (Py_ssize_t k = 0; k < n; k++) out[k] = log1p(exp(raw[k])); break;
    case SIGNED_SQUARE: for (Py_ssize_t k = 0; k < n; k++) out[k] = fabs(raw[k]) * raw[k]; break;
    case SINGLE_LOG: for (Py_ssize_t k = 0; k < n; k++) out[k] = (double)expf((float)raw[k]); break;
    case SINGLE_EXPIT: for (Py_ssize_t k = 0; k < n; k++) out[k] = single_expit(raw[k]); break;
    case STEP: for (Py_ssize_t k = 0; k < n; k++) out[k] = (double)(raw[k] > 0.0); break;
    case SINGLE_LOGIT: case HINGE:
        out[1] = link == HINGE ? (double)(raw[0] > 0.0) : single_expit(raw[0]);
        out[0] = (double)(float)(1.0 - out[1]);
        break;
    case SINGLE_SOFTMAX: {
        double sum = 0.0;
        for (Py_ssize_t k = 1; k < n; k++) high = raw[k] > high ? raw[k] : high;
        for (Py_ssize_t k = 0; k < n; k++) sum += out[k] = (double)expf((float)raw[k] - (float)high);
        for (Py_ssize_t k = 0; k < n; k++) out[k] = (double)((float)out[k] / (float)sum);
        break;
    }
    default:
        memcpy(out, raw, (size_t)n * sizeof *out);
    }
}

/* ---- the column program, on slots of `stride` rows of which `n` are used */

static double place(const double *sorted, int64_t count, double value) {
    int64_t low = 0, high = count;
    if (value != value) return (double)count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < value) low = middle + 1;
        else high = middle;
    }
    return (double)(low < count && sorted[low] == value ? low : count + 1);
}

static int is_missing(double value, double missing) {
    return value == missing || (missing != missing && value != value);
}

static double polynomial(double x, const double *coefficients, int count) {
    double total = coefficients[0];
    for (int at = 1; at < count; at++) total = total * x + coefficients[at];
    return total;
}

/* Where the normal distribution reaches a share: Cephes' ndtri, as scipy has it. */
static double normal_quantile(double share) {
    static const double p0[] = {-59.9633501014107895267, 98.0010754185999661536, -56.6762857469070293439,
        13.9312609387279679503, -1.23916583867381258016};
    static const double q0[] = {1.0, 1.95448858338141759834, 4.67627912898881538453, 86.3602421390890590575,
        -225.462687854119370527, 200.260212380060660359, -82.0372256168333339912, 15.9056225126211695515,
        -1.18331621121330003142};
    static const double p1[] = {4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162,
        44.0805073893200834700, 14.6849561928858024014, 2.18663306850790267539, -0.140256079171354495875,
        -0.0350424626827848203418, -8.57456785154685413611e-4};
    static const double q1[] = {1.0, 15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440,
        15.0425385692907503408, 2.50464946208309415979, -0.142182922854787788574, -0.0380806407691578277194,
        -9.33259480895457427372e-4};
    static const double p2[] = {3.23774891776946035970, 6.91522889068984211695, 3.93881025292474443415,
        1.33303460815807542389, 0.201485389549179081538, 0.0123716634817820021358, 3.01581553508235416007e-4,
        2.65806974686737550832e-6, 6.23974539184983293730e-9};
    static const double q2[] = {1.0, 6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271,
        0.216236993594496635890, 0.0134204006088543189037, 3.28014464682127739104e-4, 2.89247864745380683936e-6,
        6.79019408009981274425e-9};
    const double limit = 0.13533528323661269189;  /* exp(-2) */
    if (!(share > 0.0 && share < 1.0)) return share == 0.0 ? -INFINITY : share == 1.0 ? INFINITY : NAN;
    int low = share <= 1.0 - limit;
    double y = low ? share : 1.0 - share;
    if (y > limit) {
        y -= 0.5;
        double square = y * y;
        return (y + y * (square * polynomial(square, p0, 5) / polynomial(square, q0, 9))) * 2.50662827463100050242;
    }
    double x = sqrt(-2.0 * log(y)), z = 1.0 / x;
    double part = x < 8.0 ? z * polynomial(z, p1, 9) / polynomial(z, q1, 9)
                          : z * polynomial(z, p2, 9) / polynomial(z, q2, 9);
    x = x - log(x) / x - part;
    return low ? -x : x;
}

/* The first of n values in order up to which lies half of the weight. `sorted` has room for 2 n numbers. */
static double median(const double *values, Py_ssize_t stride, const double *weights, int64_t n, double *sorted) {
    double total = 0.0, sum = 0.0, *carried = sorted + n;
    for (int64_t at = 0; at < n; at++) {
        double value = values[at * stride];
        int64_t place = at;
        for (; place && sorted[place - 1] > value; place--) {
            sorted[place] = sorted[place - 1];
            carried[place] = carried[place - 1];
        }
        sorted[place] = value;
        carried[place] = weights[at];
    }
    for (int64_t at = 0; at < n; at++) total += carried[at];
    for (int64_t at = 0; at < n; at++) if ((sum += carried[at]) >= 0.5 * total) return sorted[at];
    return sorted[0];
}

static double apply(int64_t function, double x) {
    switch (function) {
    case EXP: return exp(x);
    case EXPM1: return expm1(x);
    case LN: return log(x);
    case LOG1P: return log1p(x);
    case LOG2: return log2(x);
    case LOG10: return log10(x);
    case SQRT: return sqrt(x);
    case SQUARE: return x * x;
    case ABSOLUTE: return fabs(x);
    case SIGMOID: return expit(x);
    case TANH: return tanh(x);
    case RELU: return x > 0.0 ? x : x != x ? x : 0.0;
    case RECIPROCAL: return 1.0 / x;
    case CUBE_ROOT: return cbrt(x);
    case SINE: return sin(x);
    case COSINE: return cos(x);
    case TANGENT: return tan(x);
    case ARCSINE: return asin(x);
    case ARCCOSINE: return acos(x);
    case ARCTANGENT: return atan(x);
    case SINH: return sinh(x);
    case COSH: return cosh(x);
    case ARCSINH: return asinh(x);
    case ARCCOSH: return acosh(x);
    case ARCTANH: return atanh(x);
    case EXP2: return exp2(x);
    case SIGN: return x != x ? x : (double)((x > 0.0) - (x < 0.0));
    case CEILING: return ceil(x);
    case ROUND: return rint(x);
    case NORMAL_QUANTILE: return normal_quantile(x);
    default: return -x;
    }
}

/* The line through `count` points, xs before ys, as numpy's interp draws it: level before the first and behind the last. */
static double interpolate(const double *xs, int64_t count, double x) {
    const double *ys = xs + count;
    int64_t low = 0, high = count - 1;
    if (x != x) return x;
    if (x > xs[count - 1]) return ys[count - 1];
    if (x < xs[0]) return ys[0];
    while (low < high) {  /* the last point that is not above x */
        int64_t middle = low + (high - low + 1) / 2;
        if (xs[middle] <= x) low = middle;
        else high = middle - 1;
    }
    if (low == count - 1 || xs[low] == x) return ys[low];
    return (ys[low + 1] - ys[low]) / (xs[low + 1] - xs[low]) * (x - xs[low]) + ys[low];
}

/* The same in float32, as scipy's interp1d draws it: the line that ends in a point is taken there. */
static double interpolate_single(const double *xs, int64_t count, double value) {
    const double *ys = xs + count;
    int64_t low = 1, high = count - 1;
    if (value != value || count == 1) return count == 1 ? ys[0] : value;
    float x = (float)(value < xs[0] ? xs[0] : value > xs[count - 1] ? xs[count - 1] : value);
    while (low < high) {  /* the first point from the second on that is not below x */
        int64_t middle = low + (high - low) / 2;
        if ((float)xs[middle] < x) low = middle + 1;
        else high = middle;
    }
    float below = (float)xs[low - 1], start = (float)ys[low - 1];
    float slope = ((float)ys[low] - start) / ((float)xs[low] - below);
    return (double)(slope * (x - below) + start);
}

static Py_ssize_t score(const Model *m, const Workspace *w, Py_ssize_t stride, Py_ssize_t n, int64_t *leaves);

static Py_ssize_t prepare(const Kernel *k, const Column *columns, int64_t *const *codes, const Terms *terms,
                          Py_ssize_t first, Py_ssize_t n, const Workspace *w, Py_ssize_t stride) {
    double *slots = w->slots;
    const Instruction *program = k->program.buf;
    const double *constants = k->constants.buf;
    Py_ssize_t length = items(&k->program, sizeof *program);
    for (Py_ssize_t at = 0; at < length; at++) {
        const Instruction i = program[at];
        const double *c = constants + i.start;
        const double *x = slots + i.source * stride;
        double *y = slots + i.target * stride;
        switch (i.op) {
        case NUMBER: {
            const Column *column = columns + i.source;
            const char *data = column->data + first * column->stride;
            for (Py_ssize_t r = 0; r < n; r++) memcpy(y + r, data + r * column->stride, sizeof *y);
            break;
        }
        case TEXT:
            for (Py_ssize_t r = 0; r < n; r++) y[r] = (double)codes[i.start][first + r];
            break;
        case CODE: for (Py_ssize_t r = 0; r < n; r++) y[r] = place(c, i.count, x[r]); break;
        case TABLE: case KNOWN: case ONE_HOT:
            if (i.op == ONE_HOT)
                for (int64_t w = 0; w < i.extra; w++) memset(y + w * stride, 0, (size_t)n * sizeof *y);
            for (Py_ssize_t r = 0; r < n; r++) {
                if (!(x[r] >= 0.0 && x[r] < (double)i.count)) return OUT_OF_BOUNDS;
                double entry = c[(int64_t)x[r]];
                if (i.op == TABLE) y[r] = entry;
                else if (i.op == KNOWN) { if (entry == 0.0) return at + 1; }
                else if (entry >= 0.0 && entry < (double)i.extra) y[(int64_t)entry * stride + r] = 1.0;
            }
            break;
        case SUBTRACT: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] - c[0]; break;
        case DIVIDE: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] / c[0]; break;
        case MULTIPLY: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] * c[0]; break;
        case ADD: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] + c[0]; break;
        case CLIP: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] < c[0] ? c[0] : x[r] > c[1] ? c[1] : x[r]; break;
        case FILL: for (Py_ssize_t r = 0; r < n; r++) y[r] = is_missing(x[r], c[0]) ? c[1] : x[r]; break;
        case MISSING: for (Py_ssize_t r = 0; r < n; r++) y[r] = is_missing(x[r], c[0]) ? 1.0 : 0.0; break;
        case FINITE:
            for (Py_ssize_t r = 0; r < n; r++)
                if (isinf(x[r]) || (x[r] != x[r] && !i.start) || (x[r] <= 0.0 && i.start == 2)) return at + 1;
            break;
        case FLOAT32: for (Py_ssize_t r = 0; r < n; r++) y[r] = (double)(float)x[r]; break;
        case COPY: memmove(y, x, (size_t)n * sizeof *y); break;
        case MODEL: {
            const Model *m = k->models + i.start;
            Py_ssize_t status = score(m, w, stride, n, NULL);
            if (status) return status;
            for (Py_ssize_t r = 0; r < n; r++) {
                double *raw = w->raw + r * m->outputs;
                if (!i.count) finish(m, raw, w->finished);
                for (int64_t c = 0; c < i.extra; c++) y[c * stride + r] = i.count ? raw[c] : w->finished[c];
            }
            break;
        }
        case NEAR_ZERO: for (Py_ssize_t r = 0; r < n; r++) y[r] = fabs(x[r]) <= c[0] ? c[1] : x[r]; break;
        case TRUNCATE: for (Py_ssize_t r = 0; r < n; r++) y[r] = trunc(x[r]); break;
        case FLOOR: for (Py_ssize_t r = 0; r < n; r++) y[r] = floor(x[r]); break;
        case PLUS: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] + slots[i.extra * stride + r]; break;
        case MINUS: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] - slots[i.extra * stride + r]; break;
        case TIMES: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] * slots[i.extra * stride + r]; break;
        case OVER: for (Py_ssize_t r = 0; r < n; r++) y[r] = x[r] / slots[i.extra * stride + r]; break;
        case FUNCTION: for (Py_ssize_t r = 0; r < n; r++) y[r] = apply(i.extra, x[r]); break;
        case INTERPOLATE:
            for (Py_ssize_t r = 0; r < n; r++)
                y[r] = i.extra ? interpolate_single(c, i.count / 2, x[r]) : interpolate(c, i.count / 2, x[r]);
            break;
        case ABOVE: for (Py_ssize_t r = 0; r < n; r++) y[r] = i.extra ? x[r] >= c[0] : x[r] > c[0]; break;
        case GREATER:
            for (Py_ssize_t r = 0; r < n; r++) {
                double other = slots[i.extra * stride + r];
                y[r] = x[r] > other ? x[r] : other;
            }
            break;
        case MEDIAN: {
            double *sorted = malloc(2 * (size_t)i.count * sizeof *sorted);
            if (!sorted) return NO_MEMORY;
            for (Py_ssize_t r = 0; r < n; r++) y[r] = median(x + r, stride, c, i.count, sorted);
            free(sorted);
            break;
        }
        case POWER: for (Py_ssize_t r = 0; r < n; r++) y[r] = pow(x[r], c[0]); break;
        case REMAINDER:
            for (Py_ssize_t r = 0; r < n; r++) {
                double rest = fmod(x[r], c[0]);
                y[r] = rest == 0.0 ? 0.0 : rest < 0.0 ? rest + c[0] : rest;
            }
            break;
        case TERMS: {
            const int64_t *ends = terms[i.start].ends.buf, *places = terms[i.start].places.buf;
            const double *values = terms[i.start].values.buf;
            for (int64_t t = 0; t < i.extra; t++) memset(y + t * stride, 0, (size_t)n * sizeof *y);
            for (Py_ssize_t r = 0; r < n; r++)
                for (int64_t t = ends[first + r]; t < ends[first + r + 1]; t++) y[places[t] * stride + r] = values[t];
            break;
        }
        default: return OUT_OF_BOUNDS;
        }
    }
    return 0;
}

/* ---- trees */

/* 1 to go left, 0 to go right, OUT_OF_BOUNDS for a set that is not there. */
static inline int in_set(const Model *k, const Node *node, uint32_t feature, double x) {
    uint64_t row = bits(node->value);
    if (row >= (uint64_t)k->sets) return OUT_OF_BOUNDS;
    if (!(x >= 0.0 && x < 32.0 * (double)k->words)) return (feature & MISSING_LEFT) != 0;
    uint32_t code = (uint32_t)x;
    return ((const uint32_t *)k->bitsets.buf)[row * (uint64_t)k->words + (code >> 5)] >> (code & 31) & 1;
}

/* The leaf that a row reaches. A child lies behind its parent and inside its tree, or the file is refused (NULL)
 * before the child is looked at: so every walk ends, inside. The branches are left to the processor's prediction:
 * measured against lanes of 8 and 16 rows without branches, that is a third faster. */
static inline const Node *reach(const Model *k, const Node *tree, uint32_t size, const double *x, Py_ssize_t stride) {
    uint32_t at = 0, slots = (uint32_t)k->slots, feature;
    while (!((feature = tree[at].feature) & LEAF)) {
        const Node *node = tree + at;
        uint32_t slot = feature & FEATURE, next = node->link;
        if (slot >= slots) return NULL;
        double value = x[(Py_ssize_t)slot * stride];
        if (feature & CATEGORY) {
            int left = in_set(k, node, feature, value);
            if (left < 0) return NULL;
            if (left) next = at + 1;
        } else if (value <= node->value || (value != value && feature & MISSING_LEFT)) next = at + 1;
        if (next <= at || next >= size) return NULL;
        at = next;
    }
    return tree + at;
}

/* Lays out a tree for `sift`; 0 for one with too many leaves, or one that only `reach` may judge. Its leaves are
 * numbered from left to right. `right` of a split holds the bits of those that a row which it sends right may reach. */
static int lay_out(const Model *k, const Node *tree, uint32_t size, Sieve *sieve) {
    struct { uint32_t link, split, first; } open[MOST_LEAVES];
    uint32_t depth = 0, splits = 0, leaves = 0;
    if (size >= 2 * MOST_LEAVES) return 0;
    for (uint32_t at = 0; at < size; at++) {
        const Node node = tree[at];
        if (!(node.feature & LEAF)) {
            if (splits == MOST_LEAVES - 1 || (node.feature & FEATURE) >= (uint64_t)k->slots) return 0;
            if (node.feature & CATEGORY ? bits(node.value) >= (uint64_t)k->sets || k->words > MOST_WORDS
                                        : isnan(node.value)) return 0;
            open[depth].link = node.link, open[depth].split = splits, open[depth++].first = leaves;
            sieve->split[splits].value = node.value;
            sieve->split[splits++].feature = node.feature;
            continue;
        }
        sieve->leaf[leaves++] = tree + at;
        if (!depth) { sieve->splits = (int)splits; return at == size - 1; }
        if (open[--depth].link != at + 1) return 0;
        uint32_t first = open[depth].first;
        sieve->split[open[depth].split].right = ~((((uint64_t)1 << (leaves - first)) - 1) << first);
    }
    return 0;
}

/* For each of n rows the bits of the leaves that no split on its way excludes: the lowest is the one that it reaches.
 * Every split asks every row, side by side and without a branch, which costs less than to walk where rows are many. */
FASTEST static void sift(const Model *k, const Sieve *sieve, const double *slots, Py_ssize_t stride, Py_ssize_t n,
                         const Codes *codes, uint64_t *candidates) {
    for (Py_ssize_t r = 0; r < n; r++) candidates[r] = ~(uint64_t)0;
    for (int at = 0; at < sieve->splits; at++) {
        const Split split = sieve->split[at];
        Py_ssize_t slot = split.feature & FEATURE;
        const double *x = slots + slot * stride;
        if (split.feature & CATEGORY) {
            const uint64_t words = (uint64_t)k->words;
            const double missing = 32.0 * (double)words;  /* stands for every value that is in no set */
            const uint32_t *stored = (const uint32_t *)k->bitsets.buf + bits(split.value) * words;
            uint32_t set[MOST_WORDS + 1];
            memcpy(set, stored, words * sizeof *set);
            set[words] = (split.feature & MISSING_LEFT) != 0;
            uint16_t *code = codes->of + slot * stride;
            if (!codes->made[slot]) {
                for (Py_ssize_t r = 0; r < n; r++)
                    code[r] = (uint16_t)(int32_t)(x[r] >= 0.0 && x[r] < missing ? x[r] : missing);
                codes->made[slot] = 1;
            }
            for (Py_ssize_t r = 0; r < n; r++)
                candidates[r] &= -(uint64_t)(set[code[r] >> 5] >> (code[r] & 31) & 1) | split.right;
        } else if (split.feature & MISSING_LEFT)
            for (Py_ssize_t r = 0; r < n; r++) candidates[r] &= x[r] > split.value ? split.right : ~(uint64_t)0;
        else
            for (Py_ssize_t r = 0; r < n; r++) candidates[r] &= x[r] <= split.value ? ~(uint64_t)0 : split.right;
    }
}

/* The depth of a perfect tree that asks all nodes of a level the same, as CatBoost's do; 0 for any other. */
static unsigned char levels_of(const Node *tree, uint32_t size) {
    uint32_t depth = 0;
    while (depth < MOST_LEVELS && (2u << depth) - 1 < size) depth++;
    if ((2u << depth) - 1 != size) return 0;
    for (uint32_t at = 0; at < size; at++) {
        uint32_t level = 0, under = size, left = at;
        while (left--) {
            level++, under /= 2;
            if (left >= under) left -= under;
        }
        const Node node = tree[at], first = tree[level];
        if (level == depth ? !(node.feature & LEAF)
                           : node.feature & (LEAF | CATEGORY) || node.feature != first.feature || isnan(node.value)
                             || bits(node.value) != bits(first.value) || node.link != at + 1 + under / 2) return 0;
    }
    return (unsigned char)depth;
}

/* Where each of n rows ends in such a tree: a level costs one comparison, however many nodes it has. */
FASTEST static int descend(const Model *k, const Node *tree, int depth, const double *slots, Py_ssize_t stride,
                           Py_ssize_t n, uint64_t *place) {
    for (Py_ssize_t r = 0; r < n; r++) place[r] = (uint64_t)depth;
    for (int level = 0; level < depth; level++) {
        const Node node = tree[level];
        const uint64_t left = ((uint64_t)1 << (depth - level)) - 1;  /* nodes that who goes right steps over */
        if ((node.feature & FEATURE) >= (uint64_t)k->slots) return 0;
        const double *x = slots + (Py_ssize_t)(node.feature & FEATURE) * stride;
        if (node.feature & MISSING_LEFT)
            for (Py_ssize_t r = 0; r < n; r++) place[r] += x[r] > node.value ? left : 0;
        else
            for (Py_ssize_t r = 0; r < n; r++) place[r] += x[r] <= node.value ? 0 : left;
    }
    return 1;
}

static Py_ssize_t walk_trees(const Model *k, const Workspace *w, Py_ssize_t stride, Py_ssize_t n, int64_t *leaves) {
    const int64_t *roots = k->roots.buf, *targets = k->targets.len ? k->targets.buf : NULL;
    const double *leaf_values = k->leaf_values.buf, *slots = w->slots;
    double *raw = w->raw;
    const int single = k->single;
    Py_ssize_t outputs = k->outputs, turn = 0;
    uint64_t rows_of_values = k->vector ? (uint64_t)items(&k->leaf_values, sizeof(double)) / (uint64_t)outputs : 0;
    uint64_t found[BLOCK];  /* the leaves that a row may reach in a tree that is sifted, or where it ends otherwise */
    Sieve sieve;
    if (w->categories.made) memset(w->categories.made, 0, (size_t)k->slots);
    for (Py_ssize_t r = 0; r < n; r++) memcpy(raw + r * outputs, k->base.buf, (size_t)outputs * sizeof *raw);
    for (Py_ssize_t tree = 0; tree < k->trees; tree++) {
        const Node *root = (const Node *)k->nodes.buf + roots[tree];
        uint32_t size = (uint32_t)(roots[tree + 1] - roots[tree]);
        double *scores = raw;
        Py_ssize_t output = targets ? (Py_ssize_t)targets[tree] : turn;
        if (++turn == outputs) turn = 0;
        int depth = n >= MANY ? k->levels[tree] : 0, sifted = !depth && n >= MANY && lay_out(k, root, size, &sieve);
        if (depth && !descend(k, root, depth, slots, stride, n, found)) return OUT_OF_BOUNDS;
        if (sifted) sift(k, &sieve, slots, stride, n, &w->categories, found);
        if (depth && !leaves && !k->vector)
            for (Py_ssize_t r = 0; r < n; r++) raw[r * outputs + output] += root[found[r]].value;
        else if (sifted && !leaves && !k->vector) {
            double value[MOST_LEAVES];
            for (int at = 0; at <= sieve.splits; at++) value[at] = sieve.leaf[at]->value;
            for (Py_ssize_t r = 0; r < n; r++) raw[r * outputs + output] += value[__builtin_ctzll(found[r])];
        } else for (Py_ssize_t r = 0; r < n; r++, scores += outputs) {
            const Node *leaf = depth ? root + found[r] : sifted ? sieve.leaf[__builtin_ctzll(found[r])]
                                      : reach(k, root, size, slots + r, stride);
            if (!leaf) return OUT_OF_BOUNDS;
            if (leaves) leaves[r * k->trees + tree] = leaf->link;
            else if (!k->vector) scores[output] += leaf->value;
            else {
                uint64_t at = bits(leaf->value);
                if (at >= rows_of_values) return OUT_OF_BOUNDS;
                for (Py_ssize_t o = 0; o < outputs; o++) scores[o] += leaf_values[at * (uint64_t)outputs + (uint64_t)o];
            }
        }
        /* The sum of two float32 in double, rounded to float32, is their sum in float32. */
        if (single) for (Py_ssize_t r = 0; r < n; r++)
            raw[r * outputs + output] = (double)(float)raw[r * outputs + output];
    }
    for (Py_ssize_t at = 0; at < n * outputs; at++) raw[at] /= k->divisor;
    return 0;
}

static void dot(const Model *k, const Workspace *w, Py_ssize_t stride, Py_ssize_t n) {
    const int64_t *inputs = k->inputs.buf;
    const double *coefficients = k->coefficients.buf, *intercepts = k->base.buf, *slots = w->slots;
    for (Py_ssize_t r = 0; r < n; r++)
        for (Py_ssize_t o = 0; o < k->outputs; o++) {
            double sum = 0.0;
            for (Py_ssize_t at = 0; at < k->width; at++)
                sum += slots[inputs[at] * stride + r] * coefficients[o * k->width + at];
            w->raw[r * k->outputs + o] = sum + intercepts[o];
        }
}

/* Fills the raw scores of n rows, or the leaves that they reach. */
static Py_ssize_t score(const Model *m, const Workspace *w, Py_ssize_t stride, Py_ssize_t n, int64_t *leaves) {
    if (m->engine == TREES) return walk_trees(m, w, stride, n, leaves);
    if (leaves) return 0;
    if (m->engine == LINEAR) { dot(m, w, stride, n); return 0; }
    for (Py_ssize_t o = 0; o < m->outputs; o++)
        for (Py_ssize_t r = 0; r < n; r++)
            w->raw[r * m->outputs + o] = w->slots[((const int64_t *)m->inputs.buf)[o] * stride + r];
    return 0;
}

static Py_ssize_t compute(const Kernel *k, const Column *columns, int64_t *const *codes, const Terms *terms,
                          Py_ssize_t rows, int mode, void *out) {
    const Model *last = k->models + k->count - 1;
    Py_ssize_t wide = k->slots > k->widest ? k->slots : k->widest, status = 0, sets = 0;
    Py_ssize_t block = WORKSPACE / wide < BLOCK ? WORKSPACE / wide : BLOCK;
    if (block > rows) block = rows;
    if (block < 1) block = 1;
    for (Py_ssize_t m = 0; m < k->count; m++) sets += k->models[m].sets;
    Workspace w = {calloc((size_t)(block * k->slots), sizeof *w.slots),
                   malloc((size_t)(block * k->widest) * sizeof *w.raw), NULL, {NULL, NULL}};
    if (k->count > 1) w.finished = malloc((size_t)k->widest * sizeof *w.finished);
    if (sets && block >= MANY) {
        w.categories.of = malloc((size_t)(block * k->slots) * sizeof *w.categories.of);
        w.categories.made = malloc((size_t)k->slots);
    }
    if (!w.slots || !w.raw || (k->count > 1 && !w.finished) ||
        (sets && block >= MANY && (!w.categories.of || !w.categories.made))) status = NO_MEMORY;
    for (Py_ssize_t first = 0; first < rows && !status; first += block) {
        Py_ssize_t n = rows - first < block ? rows - first : block;
        status = prepare(k, columns, codes, terms, first, n, &w, block);
        if (status) break;
        if (mode == INPUTS) {
            for (Py_ssize_t r = 0; r < n; r++)
                for (Py_ssize_t s = 0; s < k->slots; s++)
                    ((double *)out)[(first + r) * k->slots + s] = w.slots[s * block + r];
            continue;
        }
        status = score(last, &w, block, n, mode == LEAVES ? (int64_t *)out + first * last->trees : NULL);
        if (status || mode == LEAVES) continue;
        if (mode == RAW)
            memcpy((double *)out + first * last->outputs, w.raw, (size_t)(n * last->outputs) * sizeof(double));
        else for (Py_ssize_t r = 0; r < n; r++)
            finish(last, w.raw + r * last->outputs, (double *)out + (first + r) * last->columns);
    }
    free(w.slots);
    free(w.raw);
    free(w.finished);
    free(w.categories.of);
    free(w.categories.made);
    return status;
}

/* ---- Python */

static int code_texts(PyObject *dictionary, const char *data, Py_ssize_t stride, Py_ssize_t rows, int64_t *codes) {
    Py_ssize_t known = PyDict_Size(dictionary);
    for (Py_ssize_t r = 0; r < rows; r++) {
        PyObject *value;
        memcpy(&value, data + r * stride, sizeof value);
        if (value == NULL || value == Py_None) codes[r] = known;
        else if (PyUnicode_Check(value)) {
            PyObject *code = PyDict_GetItemWithError(dictionary, value);
            if (code == NULL && PyErr_Occurred()) return RAISED;
            codes[r] = code == NULL ? known + 2 : PyLong_AsLongLong(code);
        } else if (PyFloat_Check(value) && isnan(PyFloat_AsDouble(value))) codes[r] = known + 1;
        else return NOT_CANONICAL;
    }
    return 0;
}

/* Takes the features' buffers, `held` of them; NOT_CANONICAL for what is not a 1-d array of `rows` values. */
static Py_ssize_t hold(const Kernel *k, PyObject *mapping, Py_ssize_t rows, Py_buffer *views, Column *columns,
                       Py_ssize_t *held) {
    for (Py_ssize_t f = 0; f < k->features; f++) {
        PyObject *name = PyTuple_GetItem(k->names, f), *array;
        if (PyDict_Check(mapping)) { array = PyDict_GetItemWithError(mapping, name); Py_XINCREF(array); }
        else array = PyObject_GetItem(mapping, name);
        int failed = !array || PyObject_GetBuffer(array, views + f, PyBUF_STRIDES | PyBUF_FORMAT);
        Py_XDECREF(array);
        if (failed) { PyErr_Clear(); return NOT_CANONICAL; }
        *held = f + 1;
        if (views[f].ndim != 1 || views[f].shape[0] != rows || !views[f].format) return NOT_CANONICAL;
        columns[f].data = views[f].buf;
        columns[f].stride = views[f].strides[0];
    }
    return 0;
}

/* Has a vectorizer make sparse rows of an array of texts, and checks that they are inside of `width`. A missing text that
 * it does not fill is refused as the instruction `at`. */
static Py_ssize_t vectorize(const Kernel *k, PyObject *mapping, const Instruction *i, Py_ssize_t at, Py_ssize_t rows,
                            const Column *column, Terms *made) {
    PyObject *terms = PyTuple_GetItem(k->vectorizers, i->start), *array, *answer;
    PyObject *told = PyObject_GetAttrString(terms, "told"), *fill = told ? PyObject_GetAttrString(told, "fill") : NULL;
    int fills = fill && fill != Py_None;
    Py_XDECREF(told);
    if (!fill) return RAISED;
    Py_DECREF(fill);
    for (Py_ssize_t r = 0; r < rows; r++) {
        PyObject *value;
        memcpy(&value, column->data + r * column->stride, sizeof value);
        int missing = value == NULL || value == Py_None || (PyFloat_Check(value) && isnan(PyFloat_AsDouble(value)));
        if (missing && !fills) return at + 1;
        if (!missing && !PyUnicode_Check(value)) return NOT_CANONICAL;
    }
    array = PyObject_GetItem(mapping, PyTuple_GetItem(k->names, i->source));
    answer = array ? PyObject_CallFunctionObjArgs(terms, array, NULL) : NULL;
    Py_XDECREF(array);
    if (!answer) return RAISED;
    int read = PyArg_ParseTuple(answer, "y*y*y*", &made->ends, &made->places, &made->values);
    Py_DECREF(answer);
    if (!read) { memset(made, 0, sizeof *made); return RAISED; }
    const int64_t *ends = made->ends.buf, *places = made->places.buf;
    Py_ssize_t count = items(&made->places, sizeof *places);
    if (items(&made->ends, sizeof *ends) != rows + 1 || items(&made->values, sizeof(double)) != count) return OUT_OF_BOUNDS;
    for (Py_ssize_t r = 0; r < rows; r++) if (ends[r] < 0 || ends[r] > ends[r + 1]) return OUT_OF_BOUNDS;
    if (ends[rows] > count) return OUT_OF_BOUNDS;
    for (Py_ssize_t t = 0; t < count; t++) if (places[t] < 0 || places[t] >= i->extra) return OUT_OF_BOUNDS;
    return 0;
}

/* Checks the dtypes of the features that the program reads, and codes its texts while the GIL is held. */
static Py_ssize_t read_texts(const Kernel *k, PyObject *mapping, Py_ssize_t rows, const Py_buffer *views,
                             const Column *columns, int64_t **codes, Terms *terms) {
    const Instruction *program = k->program.buf;
    for (Py_ssize_t at = 0, length = items(&k->program, sizeof *program); at < length; at++) {
        const Instruction i = program[at];
        if (i.op > TEXT && i.op != TERMS) continue;
        if (strcmp(views[i.source].format, i.op == NUMBER ? "d" : "O")) return NOT_CANONICAL;
        if (i.op == NUMBER) continue;
        if (i.op == TERMS) {
            Py_ssize_t refused = terms[i.start].ends.obj
                               ? 0 : vectorize(k, mapping, &i, at, rows, columns + i.source, terms + i.start);
            if (refused) return refused;
            continue;
        }
        if (!codes[i.start]) codes[i.start] = malloc((size_t)(rows ? rows : 1) * sizeof **codes);
        if (!codes[i.start]) return NO_MEMORY;
        int status = code_texts(PyTuple_GetItem(k->dictionaries, i.start), columns[i.source].data,
                                columns[i.source].stride, rows, codes[i.start]);
        if (status) return status;
    }
    return 0;
}

/* `run(columns, out, mode, rows)`: fills `out`; see the enum of answers. */
static PyObject *Kernel_run(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    Kernel *k = (Kernel *)object;
    if (count != 4) return PyErr_Format(PyExc_TypeError, "run takes columns, out, mode and rows");
    long mode = PyLong_AsLong(arguments[2]);
    Py_ssize_t rows = PyLong_AsSsize_t(arguments[3]), status = 0, held = 0, texts = PyTuple_Size(k->dictionaries);
    Py_buffer out = {0};
    if (PyErr_Occurred() || PyObject_GetBuffer(arguments[1], &out, PyBUF_WRITABLE)) return NULL;
    const Model *last = k->models + k->count - 1;
    Py_ssize_t wide = mode == PREDICTION ? last->columns : mode == RAW ? last->outputs
                    : mode == LEAVES ? last->trees : k->slots;
    Py_buffer *views = calloc((size_t)k->features + 1, sizeof *views);
    Column *columns = calloc((size_t)k->features + 1, sizeof *columns);
    int64_t **codes = calloc((size_t)texts + 1, sizeof *codes);
    Py_ssize_t vectorizers = PyTuple_Size(k->vectorizers);
    Terms *terms = calloc((size_t)vectorizers + 1, sizeof *terms);
    if (!views || !columns || !codes || !terms) status = NO_MEMORY;
    else if (rows < 0 || out.len != rows * wide * 8 || PyMapping_Size(arguments[0]) != k->features) {
        PyErr_Clear();
        status = NOT_CANONICAL;
    } else status = hold(k, arguments[0], rows, views, columns, &held);
    if (!status) status = read_texts(k, arguments[0], rows, views, columns, codes, terms);
    if (!status && rows * (k->trees + k->slots) < RELEASE)
        status = compute(k, columns, codes, terms, rows, (int)mode, out.buf);
    else if (!status) {
        Py_BEGIN_ALLOW_THREADS
        status = compute(k, columns, codes, terms, rows, (int)mode, out.buf);
        Py_END_ALLOW_THREADS
    }
    for (Py_ssize_t f = 0; f < held; f++) PyBuffer_Release(views + f);
    for (Py_ssize_t d = 0; codes && d < texts; d++) free(codes[d]);
    for (Py_ssize_t v = 0; terms && v < vectorizers; v++) if (terms[v].ends.obj) {
        PyBuffer_Release(&terms[v].ends);
        PyBuffer_Release(&terms[v].places);
        PyBuffer_Release(&terms[v].values);
    }
    free(terms);
    free(views);
    free(columns);
    free(codes);
    PyBuffer_Release(&out);
    if (status == NO_MEMORY) return PyErr_NoMemory();
    if (status == RAISED) return NULL;
    return PyLong_FromSsize_t(status);
}

static int read_model(PyObject *given, Py_ssize_t slots, Model *m) {
    if (!PyArg_ParseTuple(given, "y*y*y*y*y*y*y*y*innnipddd", &m->nodes, &m->roots, &m->leaf_values, &m->bitsets,
                          &m->base, &m->coefficients, &m->inputs, &m->targets, &m->engine, &m->words, &m->outputs,
                          &m->columns, &m->link, &m->single, &m->divisor, &m->mean_of, &m->factor)) return -1;
    m->slots = slots;
    m->trees = m->engine == TREES ? items(&m->roots, sizeof(int64_t)) - 1 : 0;
    m->sets = items(&m->bitsets, (size_t)m->words * sizeof(uint32_t));
    m->vector = m->leaf_values.len > 0;
    m->width = items(&m->inputs, sizeof(int64_t));
    m->levels = malloc((size_t)m->trees + 1);
    if (!m->levels) { PyErr_NoMemory(); return -1; }
    const int64_t *roots = m->roots.buf;
    for (Py_ssize_t tree = 0; tree < m->trees; tree++)
        m->levels[tree] = levels_of((const Node *)m->nodes.buf + roots[tree], (uint32_t)(roots[tree + 1] - roots[tree]));
    return 0;
}

static PyObject *Kernel_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *known[] = {"names", "dictionaries", "program", "constants", "vectorizers", "slots", "models", NULL};
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *models;
    Kernel *k = (Kernel *)allocate(type, 0);
    if (!k) return NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!y*y*O!nO!", known, &PyTuple_Type, &k->names, &PyTuple_Type,
                                     &k->dictionaries, &k->program, &k->constants, &PyTuple_Type, &k->vectorizers,
                                     &k->slots, &PyTuple_Type, &models)) {
        k->names = k->dictionaries = k->vectorizers = NULL;
        Py_DECREF(k);
        return NULL;
    }
    Py_INCREF(k->names);
    Py_INCREF(k->dictionaries);
    Py_INCREF(k->vectorizers);
    k->features = PyTuple_Size(k->names);
    Py_ssize_t count = PyTuple_Size(models);
    k->models = calloc((size_t)count + 1, sizeof *k->models);
    if (!k->models || !count) { Py_DECREF(k); return PyErr_NoMemory(); }
    for (; k->count < count; k->count++) {
        Model *m = k->models + k->count;
        if (read_model(PyTuple_GetItem(models, k->count), k->slots, m)) { Py_DECREF(k); return NULL; }
        if (m->outputs > k->widest) k->widest = m->outputs;
        if (m->columns > k->widest) k->widest = m->columns;
        k->trees += m->trees;
    }
    return (PyObject *)k;
}

static void Kernel_dealloc(PyObject *object) {
    Kernel *k = (Kernel *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyBuffer_Release(&k->program);
    PyBuffer_Release(&k->constants);
    for (Py_ssize_t at = 0; at < k->count; at++) {
        Model *m = k->models + at;
        Py_buffer *views[] = {&m->nodes, &m->roots, &m->leaf_values, &m->bitsets, &m->base, &m->coefficients,
                              &m->inputs, &m->targets};
        for (size_t view = 0; view < sizeof views / sizeof *views; view++) PyBuffer_Release(views[view]);
        free(m->levels);
    }
    free(k->models);
    Py_XDECREF(k->names);
    Py_XDECREF(k->dictionaries);
    Py_XDECREF(k->vectorizers);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef kernel_methods[] = {
    {"run", (PyCFunction)(void (*)(void))Kernel_run, METH_FASTCALL, "run(columns, out, mode, rows) -> int"},
    {NULL, NULL, 0, NULL}};
static PyType_Slot kernel_slots[] = {{Py_tp_new, Kernel_new}, {Py_tp_dealloc, Kernel_dealloc},
                                     {Py_tp_methods, kernel_methods}, {0, NULL}};
static PyType_Spec kernel_spec = {"penstock.artifact._kernel.Kernel", sizeof(Kernel), 0, Py_TPFLAGS_DEFAULT, kernel_slots};

static int add_types(PyObject *module) {
    PyObject *type = PyType_FromSpec(&kernel_spec);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Kernel", type);
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, add_types}, {0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", "The walking kernel of model files.", 0, NULL,
                                    module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module); }
