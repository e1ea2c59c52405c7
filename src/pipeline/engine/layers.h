/* Dense layers of one run on rows in memory: matrix products, LayerNorm, the activation.

   REAL, WIDTH (d), HEADS (H), MLP_WIDTH (m) and RELU are given as macros. Numbers of columns are constants where these
   functions are inlined, so the sums of a product stay in registers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EACH(i, count) for (int64_t i = 0; i < (count); i++)
#define INLINE static inline __attribute__((always_inline))
/* A loop of its own is turned into vectors; inlined in others it may be unrolled into single numbers instead. */
#define APART static __attribute__((noinline))
/* As vectors are: one that lies across two cache lines takes twice as long. */
#define ALIGNED __attribute__((aligned(LANES * sizeof(REAL))))
#define EPSILON ((REAL)1e-5) /* of LayerNorm, torch.nn's default */

/* Bytes of a vector, and how many of them a tile of ROWS rows is wide: its sums, a row of the right factor and a number
   of the left one fit into the registers. */
#define ROWS 4
#if defined(__AVX512F__)
enum { BYTES = 64, TILE = 5 };
#elif defined(__AVX__)
enum { BYTES = 32, TILE = 2 };
#elif defined(__aarch64__)
enum { BYTES = 16, TILE = 5 };
#else
enum { BYTES = 16, TILE = 2 };
#endif

/* Numbers in a vector: as many as fit, but a divisor of both widths, so that there is no remainder. */
#define FITS(lanes) (sizeof(REAL) * (lanes) <= BYTES && WIDTH % (lanes) == 0 && MLP_WIDTH % (lanes) == 0)
enum { LANES = FITS(16) ? 16 : FITS(8) ? 8 : FITS(4) ? 4 : FITS(2) ? 2 : 1 };
typedef REAL lanes __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* A row of the table: the values' d channels and the H scores, and zeros to a whole number of vectors. */
enum { COLUMNS = (WIDTH + HEADS + LANES - 1) / LANES * LANES, PER_HEAD = WIDTH / HEADS };
typedef REAL row[COLUMNS] ALIGNED;
/* Over the values' channels as they lie in a row. Of more than a few heads the inner loop is to become vectors, where
   clang would take the outer one. */
#if HEADS < 4
#define CHANNELS(j, h) EACH(j, PER_HEAD) EACH(h, HEADS)
#else
#define CHANNELS(j, h) _Pragma("clang loop vectorize(disable)") EACH(j, PER_HEAD) EACH(h, HEADS)
#endif
typedef REAL heads[HEADS];
typedef REAL vector[WIDTH];
typedef REAL hidden[MLP_WIDTH];

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
/* glibc has these for vectors, and tells the compiler of it only together with options that give up NaN */
#define VECTORS __attribute__((simd("notinbranch")))
VECTORS float expf(float);
VECTORS double exp(double);
#if __GLIBC_PREREQ(2, 35)
VECTORS float erff(float);
VECTORS double erf(double);
#endif
#endif
#define EXP(x) (sizeof(REAL) == 4 ? (REAL)expf((float)(x)) : (REAL)exp((double)(x)))
#define ERF(x) (sizeof(REAL) == 4 ? (REAL)erff((float)(x)) : (REAL)erf((double)(x)))

/* A matrix that is read: the entry in row i and column k is at[i * row + k * column]. */
typedef struct {
  const REAL *at;
  int64_t row, column;
} matrix;

/* Of rows x vectors of c [.][columns]: the product of a with b [inner][columns], added to c or in its place. */
INLINE void tile(const int rows, const int vectors, const int columns, const int add, int64_t inner, matrix a,
                 const REAL *b, REAL *c) {
  lanes sums[ROWS][TILE];
#pragma GCC unroll 8
  EACH(i, rows) {
#pragma GCC unroll 8
    EACH(j, vectors) sums[i][j] = add ? *(const lanes *)(c + i * columns + j * LANES) : (lanes){0};
  }
  EACH(k, inner) {
    lanes x[TILE];
#pragma GCC unroll 8
    EACH(j, vectors) x[j] = *(const lanes *)(b + k * columns + j * LANES);
#pragma GCC unroll 8
    EACH(i, rows) {
      REAL y = a.at[i * a.row + k * a.column];
#pragma GCC unroll 8
      EACH(j, vectors) sums[i][j] += x[j] * y;
    }
  }
#pragma GCC unroll 8
  EACH(i, rows) {
#pragma GCC unroll 8
    EACH(j, vectors) *(lanes *)(c + i * columns + j * LANES) = sums[i][j];
  }
}

/* The same for all columns of some rows. */
INLINE void strip(const int rows, const int columns, const int add, int64_t inner, matrix a, const REAL *b, REAL *c) {
  const int vectors = columns / LANES, rest = vectors % TILE, last = (vectors - rest) * LANES;
  EACH(j, vectors / TILE) tile(rows, TILE, columns, add, inner, a, b + j * TILE * LANES, c + j * TILE * LANES);
  if (rest) tile(rows, rest, columns, add, inner, a, b + last, c + last);
}

/* c [rows][columns] = a b, or added to it, for b [inner][columns]: a function for each number of columns, since inlined
   where it is called it would run out of registers. */
#define PRODUCT(name, columns, add)                                                               \
  APART void name(int64_t rows, int64_t inner, matrix a, const REAL *b, REAL *c) {                \
    for (; rows >= ROWS; rows -= ROWS, a.at += ROWS * a.row, c += ROWS * (columns))               \
      strip(ROWS, columns, add, inner, a, b, c);                                                  \
    for (; rows > 0; rows--, a.at += a.row, c += columns) strip(1, columns, add, inner, a, b, c); \
  }
PRODUCT(product_to_rows, COLUMNS, 0)
PRODUCT(product_to_vectors, WIDTH, 0)
PRODUCT(add_product_to_vectors, WIDTH, 1)
PRODUCT(product_to_hidden, MLP_WIDTH, 0)

#if defined(__GNUC__) && !defined(__clang__)
typedef __typeof__((lanes){0} > 0) indices;

/* The transpose of L x L numbers, L = LANES, of a [.][a_row]: log2 L times, rows i and L / 2 + i are merged like the
   halves of a pack of cards. */
INLINE void transpose_block(const int64_t a_row, const REAL *a, const int64_t row, REAL *transposed) {
  lanes x[LANES], y[LANES];
  indices first, last;
  EACH(l, LANES) first[l] = l / 2 + l % 2 * LANES, last[l] = first[l] + LANES / 2;
#pragma GCC unroll 16
  EACH(i, LANES) x[i] = *(const lanes *)(a + i * a_row);
#pragma GCC unroll 4
  for (int stage = 1; stage < LANES; stage *= 2) {
#pragma GCC unroll 8
    EACH(i, LANES / 2) {
      y[2 * i] = __builtin_shuffle(x[i], x[i + LANES / 2], first);
      y[2 * i + 1] = __builtin_shuffle(x[i], x[i + LANES / 2], last);
    }
#pragma GCC unroll 16
    EACH(i, LANES) x[i] = y[i];
  }
#pragma GCC unroll 16
  EACH(i, LANES) *(lanes *)(transposed + i * row) = x[i];
}
#else
INLINE void transpose_block(const int64_t a_row, const REAL *a, const int64_t row, REAL *transposed) {
  EACH(i, LANES) EACH(j, LANES) transposed[j * row + i] = a[i * a_row + j];
}
#endif

/* The transpose of a [rows][columns], both whole numbers of vectors. */
APART void transpose(int64_t rows, int64_t columns, const REAL *a, REAL *transposed) {
  for (int64_t i = 0; i < rows; i += LANES) {
    for (int64_t j = 0; j < columns; j += LANES) {
      transpose_block(columns, a + i * columns + j, rows, transposed + j * rows + i);
    }
  }
}

/* x less its mean; in place too. */
static void centre(const REAL *x, REAL *centred) {
  REAL sum = 0;
  EACH(c, WIDTH) sum += x[c];
  EACH(c, WIDTH) centred[c] = x[c] - sum / WIDTH;
}

/* LayerNorm without gain and bias; returns the factor of the centred x. In place too. */
static REAL normalise(const REAL *x, REAL *normal) {
  REAL variance = 0;
  centre(x, normal);
  EACH(c, WIDTH) variance += normal[c] * normal[c];
  REAL scale = 1 / (REAL)sqrt(variance / WIDTH + EPSILON);
  EACH(c, WIDTH) normal[c] *= scale;
  return scale;
}

/* Adds to d_x what the gradient d of a normalised row contributes. */
static void normalise_backward(const REAL *restrict d, const REAL *restrict normal, REAL scale, REAL *restrict d_x) {
  REAL sum = 0, along = 0;
  EACH(c, WIDTH) sum += d[c], along += d[c] * normal[c];
  EACH(c, WIDTH) d_x[c] += (d[c] - sum / WIDTH - normal[c] * along / WIDTH) * scale;
}

/* The activation in place, and its derivative. */
static void activate(REAL *restrict x, REAL *restrict slope) {
  EACH(c, MLP_WIDTH) {
    REAL h = x[c];
    if (RELU) {
      slope[c] = h > 0;
      x[c] = h < 0 ? 0 : h; /* NaN stays what it is */
    } else {
      REAL below = (REAL)0.5 + (REAL)0.5 * ERF(h * (REAL)0.70710678118654752440); /* the normal distribution's */
      REAL density = (REAL)0.39894228040143267794 * EXP(h * h * (REAL)-0.5);
      slope[c] = below + h * density;
      x[c] = h * below;
    }
  }
}
