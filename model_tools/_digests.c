/* BLAKE2b (RFC 7693) with digests of 16 bytes and no key, for many rows in one call. `digests.py` says what a row is,
 * and does the same with hashlib. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "BLAKE2b reads words in little-endian order; digests.py takes hashlib where this is not built"
#endif

enum { LANES = 4, WORDS = 16, BLOCK = 128, DIGEST = 16, ROUNDS = 12 };

/* The same word of four rows that are hashed side by side: what one core can do with AVX2, or in two steps without. */
typedef uint64_t Words __attribute__((vector_size(8 * LANES)));
typedef struct { const uint8_t *bits, *text; size_t width, size, blocks; } Row;

#if defined(__x86_64__) && defined(__GLIBC__)
#define FASTEST __attribute__((target_clones("avx2", "default")))
#else
#define FASTEST
#endif

static const uint64_t START[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                  0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
static const uint8_t ORDER[10][WORDS] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

#define TURN(word, right) ((word) >> (right) | (word) << (64 - (right)))
#define MIX(a, b, c, d, x, y)                                                                                          \
    do {                                                                                                               \
        v[a] += v[b] + (x); v[d] ^= v[a]; v[d] = TURN(v[d], 32); v[c] += v[d]; v[b] ^= v[c]; v[b] = TURN(v[b], 24);    \
        v[a] += v[b] + (y); v[d] ^= v[a]; v[d] = TURN(v[d], 16); v[c] += v[d]; v[b] ^= v[c]; v[b] = TURN(v[b], 63);    \
    } while (0)

/* `last` is all ones in the lanes whose block is their last, `wanted` in those that have not had theirs. */
FASTEST static void compress(Words *chain, const uint64_t (*blocks)[WORDS], const Words *state) {
    Words m[WORDS], v[WORDS];
    for (int at = 0; at < WORDS; at++)
        for (int lane = 0; lane < LANES; lane++) m[at][lane] = blocks[lane][at];
    for (int at = 0; at < 8; at++)
        for (int lane = 0; lane < LANES; lane++) v[at + 8][lane] = START[at];
    for (int at = 0; at < 8; at++) v[at] = chain[at];
    v[12] ^= state[0];
    v[14] ^= state[1];
#pragma GCC unroll 12
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *o = ORDER[round % 10];
        MIX(0, 4, 8, 12, m[o[0]], m[o[1]]);
        MIX(1, 5, 9, 13, m[o[2]], m[o[3]]);
        MIX(2, 6, 10, 14, m[o[4]], m[o[5]]);
        MIX(3, 7, 11, 15, m[o[6]], m[o[7]]);
        MIX(0, 5, 10, 15, m[o[8]], m[o[9]]);
        MIX(1, 6, 11, 12, m[o[10]], m[o[11]]);
        MIX(2, 7, 8, 13, m[o[12]], m[o[13]]);
        MIX(3, 4, 9, 14, m[o[14]], m[o[15]]);
    }
    for (int at = 0; at < 8; at++) chain[at] ^= (v[at] ^ v[at + 8]) & state[2];
}

/* Block `number` of a row, its bits before its text, with zeros behind what there is. */
static void fill(const Row *row, size_t number, uint8_t *block) {
    size_t from = number * BLOCK, filled = 0;
    if (from < row->width) {
        filled = row->width - from < BLOCK ? row->width - from : BLOCK;
        memcpy(block, row->bits + from, filled);
        from = 0;
    } else from -= row->width;
    size_t taken = row->size - from < BLOCK - filled ? row->size - from : BLOCK - filled;
    memcpy(block + filled, row->text + from, taken);
    memset(block + filled + taken, 0, BLOCK - filled - taken);
}

/* The digests of up to four rows; a lane without a row has no blocks. */
static void hash(const Row *rows, uint8_t (*out)[DIGEST]) {
    uint64_t blocks[LANES][WORDS] = {{0}};
    Words chain[8];
    size_t most = 0;
    for (int at = 0; at < 8; at++) chain[at] = START[at] - (Words){0};
    chain[0] ^= 0x01010000 | DIGEST;
    for (int lane = 0; lane < LANES; lane++) most = rows[lane].blocks > most ? rows[lane].blocks : most;
    for (size_t number = 0; number < most; number++) {
        uint64_t state[3][LANES] = {{0}};
        for (int lane = 0; lane < LANES; lane++) {
            const Row *row = rows + lane;
            if (number >= row->blocks) continue;
            int ends = number + 1 == row->blocks;
            fill(row, number, (uint8_t *)blocks[lane]);
            state[0][lane] = ends ? row->width + row->size : (number + 1) * BLOCK;
            state[1][lane] = ends ? UINT64_MAX : 0;
            state[2][lane] = UINT64_MAX;
        }
        Words states[3];
        memcpy(states, state, sizeof states);
        compress(chain, (const uint64_t (*)[WORDS])blocks, states);
    }
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t words[2] = {chain[0][lane], chain[1][lane]};
        memcpy(out[lane], words, DIGEST);
    }
}

/* `digests(texts, bits)`: a list of bytes, and a buffer of as many rows. */
static PyObject *digests(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    (void)self;
    if (count != 2 || !PyList_Check(arguments[0])) return PyErr_Format(PyExc_TypeError, "digests takes a list and bits");
    Py_buffer bits;
    if (PyObject_GetBuffer(arguments[1], &bits, PyBUF_SIMPLE)) return NULL;
    Py_ssize_t rows = PyList_Size(arguments[0]), width = rows ? bits.len / rows : 0;
    PyObject *made = PyList_New(rows);
    if (made && width * rows != bits.len) {
        PyErr_Format(PyExc_ValueError, "%zd bytes are not of %zd rows", bits.len, rows);
        Py_CLEAR(made);
    }
    for (Py_ssize_t first = 0; made && first < rows; first += LANES) {
        Row lanes[LANES] = {{0}};
        uint8_t out[LANES][DIGEST];
        int used = rows - first < LANES ? (int)(rows - first) : LANES;
        for (int lane = 0; made && lane < used; lane++) {
            char *text;
            Py_ssize_t size;
            if (PyBytes_AsStringAndSize(PyList_GetItem(arguments[0], first + lane), &text, &size)) Py_CLEAR(made);
            else {
                size_t whole = (size_t)(width + size);
                lanes[lane] = (Row){(uint8_t *)bits.buf + (first + lane) * width, (uint8_t *)text, (size_t)width,
                                    (size_t)size, whole ? (whole + BLOCK - 1) / BLOCK : 1};
            }
        }
        if (made) hash(lanes, out);
        for (int lane = 0; made && lane < used; lane++) {
            PyObject *bytes = PyBytes_FromStringAndSize((char *)out[lane], DIGEST);
            if (!bytes || PyList_SetItem(made, first + lane, bytes)) Py_CLEAR(made);
        }
    }
    PyBuffer_Release(&bits);
    return made;
}

static PyMethodDef methods[] = {
    {"digests", (PyCFunction)(void (*)(void))digests, METH_FASTCALL, "digests(texts, bits) -> list[bytes]"},
    {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_digests", "Digests of many rows.", 0, methods, slots, NULL,
                                    NULL, NULL};

PyMODINIT_FUNC PyInit__digests(void) { return PyModuleDef_Init(&module); }
