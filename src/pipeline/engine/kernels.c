/* A training step of the one-layer Transformer on the CPU: the function of transformer.py and its gradients, run by
   run, so that what a run needs stays in the cache.

   Compiled by kernels.py for one architecture: the macros of layers.h, and HEADROOM, which attention.py explains.

   Attention is over the table of distinct tokens (attention.py). The product of the table with the one-hot samples is a
   sum of rows: of each position, the row of the sample's bit. Four positions together have 16 patterns of bits, so the
   sums of all 16 are tabulated and a sample takes one row for its four bits (the method of the four Russians; Arlazarov
   et al. 1970). Every number is added that the product would add, none is subtracted. The backward pass is the
   transpose: a sample's gradient is added to the row of its pattern, and the 16 rows are then summed to those of each
   position's two bits.

   With dropout of attention weights (dropout.h) samples with the same bits differ: each sample adds the row of each of its
   tokens times its masks.

   A byte of the packed samples holds eight positions, the first in the highest bit: two patterns. The weighted table
   and its gradient are never stored.

   Shapes: R runs, T positions, n samples, G = (T + 7) / 8 bytes. A row of the table has the values' channels,
   channel-major ([d / H, H]), so that loops run over heads, and then the H scores. */
#include "layers.h"
#include "dropout.h"

/* The smallest normaliser in range. Gradients are divided by it: those by a smaller one may overflow where the loss does
   not, so such a sample's output is NaN. transformer.py then computes a run in float32 again in float64. */
#define LEAST ((REAL)exp(-(double)(HEADROOM)))

enum { BLOCK = 32 }; /* positions whose products are made at once, pairs of bytes: they stay in the fastest cache */

/* The parameters of a run, in the order of Transformer.shapes: of each R times as many lie in a row. */
#define PARAMETERS(X)                                                                                             \
  X(vector, embedding, T + 2) X(REAL, cls, WIDTH) X(REAL, cls_position, WIDTH)                                    \
  X(vector, query_weight, WIDTH) X(vector, key_weight, WIDTH) X(vector, value_weight, WIDTH)                      \
  X(vector, out_weight, WIDTH) X(vector, mlp_in_weight, MLP_WIDTH) X(hidden, mlp_out_weight, WIDTH)               \
  X(REAL, readout_weight, WIDTH)                                                                                  \
  X(REAL, attention_norm_gain, WIDTH) X(REAL, mlp_norm_gain, WIDTH) X(REAL, final_norm_gain, WIDTH)               \
  X(REAL, attention_norm_bias, WIDTH) X(REAL, mlp_norm_bias, WIDTH) X(REAL, final_norm_bias, WIDTH)               \
  X(REAL, query_bias, WIDTH) X(REAL, value_bias, WIDTH) X(REAL, out_bias, WIDTH) X(REAL, mlp_out_bias, WIDTH)     \
  X(REAL, mlp_in_bias, MLP_WIDTH) X(REAL, readout_bias, 1)
#define FIELD(type, name, count) type *name;
typedef struct {
  PARAMETERS(FIELD)
} parameters;

static parameters of_run(REAL *flat, int64_t R, int64_t r, int64_t T) {
  parameters p;
#define PLACE(type, name, count)     \
  p.name = (type *)flat + r * (count); \
  flat = (REAL *)((type *)flat + R * (count));
  PARAMETERS(PLACE)
#undef PLACE
  return p;
}

/* What follows from the weights alone: the query folded into the keys, LayerNorm gains into the weights behind them. */
typedef struct {
  row transposed[WIDTH], cls;               /* of the projection, and [CLS]'s row */
  vector projection[COLUMNS];               /* from a token to its row */
  vector scores[HEADS];                     /* from a token to its scores, before the gain */
  vector start, normalised, affine, query;  /* [CLS]'s embedding, normalised, with gain and bias, and its query */
  vector constant;                          /* what the LayerNorm's and the values' biases add to all values */
  vector out[WIDTH], out_transposed[WIDTH]; /* channels of attention as in a row */
  vector mlp_in[MLP_WIDTH];
  hidden mlp_in_transposed[WIDTH], mlp_in_offset;
  vector mlp_out_transposed[MLP_WIDTH];
  vector readout;
  REAL scale, readout_offset; /* of [CLS]'s LayerNorm; of the logits */
} folded;

typedef REAL of_bits[2];
typedef heads heads_of_bits[2];

/* What a run needs of memory. */
#define SCRATCH(X)                                                                                                \
  X(folded, f, 1) X(row, products, T + 2) /* of the embedding with the projection; their gradients */            \
  X(of_bits, factor, T)                   /* of the tokens' LayerNorms; gradients of their variances */          \
  X(heads_of_bits, weights, T) X(heads, cls_weights, 1) X(vector, bits, 2) /* the embeddings of bits, centred */  \
  X(row, sums, n) X(heads, reciprocal, n) /* of the tokens' weighted rows, of their normalisers */               \
  X(heads, kept, n) X(heads, d_kept, n)   /* with dropout of attention: sums of the weights that are kept */      \
  X(heads, cls_keep, n + MASKS)           /* and the masks of [CLS]'s own */                                      \
  X(vector, attended, n) X(vector, residual, n) X(vector, mlp_normal, n) X(REAL, mlp_scale, n)                    \
  X(hidden, activated, n) X(hidden, slope, n) X(hidden, d_hidden, n) X(vector, final_normal, n)                   \
  X(REAL, final_scale, n) X(REAL, logits, n)
typedef struct {
  SCRATCH(FIELD)
} scratch;

enum { LINE = 64 }; /* bytes of a cache line */
#define SIZE(type, count) ((sizeof(type) * (count) + LINE - 1) / LINE * LINE)

/* In one piece, to be freed at f; without memory f is NULL. */
static scratch allocate(int64_t T, int64_t n) {
  scratch s = {0};
  size_t size = 0;
#define ADD(type, name, count) size += SIZE(type, count);
  SCRATCH(ADD)
#undef ADD
  char *memory = aligned_alloc(LINE, size);
  if (!memory) return s;
#define PLACE(type, name, count) s.name = (type *)memory, memory += SIZE(type, count);
  SCRATCH(PLACE)
#undef PLACE
  return s;
}

/* Dropout of a run: of the attention weights, NULL for none; masks, or NULL, of what attention adds to the residual
   stream, of the hidden units, of what the MLP adds. */
typedef struct {
  const dropout *weights;
  const vector *attention;
  const hidden *mlp_hidden;
  const vector *mlp;
} masks;

/* ---- folding ---- */

/* Rows in the order of attention's channels, [H, d / H], to that of a row of the table, and back. */
static void by_channel(const vector *rows, vector *channels) {
  EACH(h, HEADS) EACH(j, PER_HEAD) memcpy(channels[j * HEADS + h], rows[h * PER_HEAD + j], sizeof(vector));
}

static void by_head(const vector *channels, vector *rows) {
  EACH(h, HEADS) EACH(j, PER_HEAD) memcpy(rows[h * PER_HEAD + j], channels[j * HEADS + h], sizeof(vector));
}

static void fold_attention(const parameters *p, folded *f) {
  const REAL *gain = p->attention_norm_gain, *bias = p->attention_norm_bias;
  EACH(i, WIDTH) f->start[i] = p->cls[i] + p->cls_position[i];
  f->scale = normalise(f->start, f->normalised);
  EACH(i, WIDTH) f->affine[i] = gain[i] * f->normalised[i] + bias[i];
  memset(f->scores, 0, sizeof f->scores);
  memset(f->projection, 0, sizeof f->projection);
  memset(f->cls, 0, sizeof f->cls);
  EACH(h, HEADS) EACH(j, PER_HEAD) {
    int64_t o = h * PER_HEAD + j, c = j * HEADS + h;
    REAL q = p->query_bias[o], k = p->value_bias[o];
    EACH(i, WIDTH) {
      q += p->query_weight[o][i] * f->affine[i];
      k += p->value_weight[o][i] * bias[i];
    }
    f->query[o] = q;
    f->constant[c] = k;
    EACH(i, WIDTH) {
      f->scores[h][i] += p->key_weight[o][i] * q;
      f->projection[c][i] = p->value_weight[o][i] * gain[i];
    }
  }
  EACH(h, HEADS) EACH(i, WIDTH) {
    f->scores[h][i] /= (REAL)sqrt(PER_HEAD);
    f->projection[WIDTH + h][i] = f->scores[h][i] * gain[i];
  }
  EACH(c, WIDTH + HEADS) {
    REAL sum = 0;
    centre(f->projection[c], f->projection[c]); /* instead of the tokens */
    EACH(i, WIDTH) sum += f->projection[c][i] * f->normalised[i];
    f->cls[c] = sum;
  }
  transpose(COLUMNS, WIDTH, *f->projection, *f->transposed);
  transpose(WIDTH, WIDTH, *p->out_weight, *f->out);
  by_channel(f->out, f->out_transposed);
  transpose(WIDTH, WIDTH, *f->out_transposed, *f->out);
}

static void fold_mlp(const parameters *p, folded *f) {
  EACH(o, MLP_WIDTH) {
    REAL sum = p->mlp_in_bias[o];
    EACH(i, WIDTH) {
      sum += p->mlp_in_weight[o][i] * p->mlp_norm_bias[i];
      f->mlp_in[o][i] = p->mlp_in_weight[o][i] * p->mlp_norm_gain[i];
    }
    f->mlp_in_offset[o] = sum;
  }
  transpose(MLP_WIDTH, WIDTH, *f->mlp_in, *f->mlp_in_transposed);
  transpose(WIDTH, MLP_WIDTH, *p->mlp_out_weight, *f->mlp_out_transposed);
  f->readout_offset = *p->readout_bias;
  EACH(i, WIDTH) {
    f->readout[i] = p->readout_weight[i] * p->final_norm_gain[i];
    f->readout_offset += p->readout_weight[i] * p->final_norm_bias[i];
  }
}

/* From the gradients of an output channel's query, value row and constant: those of the weights behind them. */
APART void channel_backward(REAL d_query, const REAL *restrict d_value, REAL d_constant, const REAL *restrict gain,
                            const REAL *restrict bias, const REAL *restrict query_weight,
                            const REAL *restrict value_weight, const REAL *restrict affine, REAL *restrict d_affine,
                            REAL *restrict d_gain, REAL *restrict d_bias, REAL *restrict d_query_weight,
                            REAL *restrict d_value_weight) {
  EACH(i, WIDTH) {
    d_gain[i] += d_value[i] * value_weight[i];
    d_bias[i] += d_constant * value_weight[i];
    d_affine[i] += d_query * query_weight[i];
    d_value_weight[i] = d_value[i] * gain[i] + d_constant * bias[i];
    d_query_weight[i] = d_query * affine[i];
  }
}

/* From the gradients of the projection (overwritten), [CLS]'s row, the constant and [CLS]'s embedding in the residual
   stream: those of the parameters. */
static void fold_attention_backward(const parameters *p, const folded *f, vector *d_projection, const REAL *d_cls,
                                    const REAL *d_constant, const REAL *d_start, parameters *g) {
  const REAL *gain = p->attention_norm_gain, *bias = p->attention_norm_bias;
  REAL *d_gain = g->attention_norm_gain, *d_bias = g->attention_norm_bias;
  vector d_affine = {0}, d_normalised = {0};
  memset(d_gain, 0, sizeof(vector));
  memset(d_bias, 0, sizeof(vector));
  EACH(c, WIDTH + HEADS) {
    centre(d_projection[c], d_projection[c]);
    EACH(i, WIDTH) {
      d_projection[c][i] += d_cls[c] * f->normalised[i];
      d_normalised[i] += d_cls[c] * f->projection[c][i];
    }
  }
  EACH(h, HEADS) {
    const REAL *d_row = d_projection[WIDTH + h];
    vector d_score;
    EACH(i, WIDTH) {
      d_gain[i] += d_row[i] * f->scores[h][i];
      d_score[i] = d_row[i] * gain[i] / (REAL)sqrt(PER_HEAD);
    }
    EACH(j, PER_HEAD) {
      int64_t o = h * PER_HEAD + j, c = j * HEADS + h;
      REAL d_query = 0;
      EACH(i, WIDTH) {
        d_query += d_score[i] * p->key_weight[o][i];
        g->key_weight[o][i] = d_score[i] * f->query[o];
      }
      channel_backward(d_query, d_projection[c], d_constant[c], gain, bias, p->query_weight[o], p->value_weight[o],
                       f->affine, d_affine, d_gain, d_bias, g->query_weight[o], g->value_weight[o]);
      g->query_bias[o] = d_query;
      g->value_bias[o] = d_constant[c];
    }
  }
  EACH(i, WIDTH) {
    d_gain[i] += d_affine[i] * f->normalised[i];
    d_bias[i] += d_affine[i];
    d_normalised[i] += d_affine[i] * gain[i];
    g->cls[i] = d_start[i];
  }
  normalise_backward(d_normalised, f->normalised, f->scale, g->cls);
  memcpy(g->cls_position, g->cls, sizeof(vector));
}

/* ---- attention ---- */

/* A token's scores; keeps the largest. */
APART void score(REAL factor, const REAL *restrict by_position, const REAL *restrict by_bit, REAL *restrict scores,
                 REAL *restrict largest) {
  EACH(h, HEADS) {
    scores[h] = factor * (by_position[h] + by_bit[h]);
    largest[h] = scores[h] > largest[h] ? scores[h] : largest[h];
  }
}

/* The factors of the LayerNorms of a position's two tokens. One pass over an embedding: its mean stays of the size
   of its spread at most (LayerNorm gives it no gradient), so E[x^2] - E[x]^2 loses hardly a digit. */
static void factors(const REAL *restrict embedding, const vector *restrict bits, const REAL *of_bit, REAL *factor) {
  REAL sum = 0, squares = 0, dots[2] = {0, 0};
  EACH(c, WIDTH) {
    REAL x = embedding[c];
    sum += x, squares += x * x;
    dots[0] += x * bits[0][c], dots[1] += x * bits[1][c];
  }
  EACH(b, 2) {
    REAL variance = (squares - sum * sum / WIDTH + 2 * dots[b] + of_bit[b]) / WIDTH;
    factor[b] = 1 / (REAL)sqrt(variance + EPSILON);
  }
}

/* A token's row [w * v; w]. */
static void weigh(const REAL *restrict by_position, const REAL *restrict by_bit, REAL factor,
                  const REAL *restrict weights, REAL *restrict weighted) {
  heads scale;
  EACH(h, HEADS) scale[h] = weights[h] * factor;
  CHANNELS(j, h) {
    weighted[j * HEADS + h] = scale[h] * (by_position[j * HEADS + h] + by_bit[j * HEADS + h]);
  }
  EACH(h, HEADS) weighted[WIDTH + h] = weights[h];
  EACH(c, COLUMNS - WIDTH - HEADS) weighted[WIDTH + HEADS + c] = 0;
}

/* The sums of four positions' rows, rows[position][bit], for every pattern of their bits. */
static void tabulate(row (*restrict rows)[2], row *restrict table) {
  row first[4], last[4];
  EACH(a, 4) EACH(c, COLUMNS) {
    first[a][c] = rows[0][a >> 1][c] + rows[1][a & 1][c];
    last[a][c] = rows[2][a >> 1][c] + rows[3][a & 1][c];
  }
  EACH(a, 16) EACH(c, COLUMNS) table[a][c] = first[a >> 2][c] + last[a & 3][c];
}

/* The transpose of tabulate. */
static void distribute(row *restrict table, row (*restrict rows)[2]) {
  row first[4], last[4];
  EACH(a, 4) EACH(c, COLUMNS) {
    first[a][c] = (table[4 * a][c] + table[4 * a + 1][c]) + (table[4 * a + 2][c] + table[4 * a + 3][c]);
    last[a][c] = (table[a][c] + table[4 + a][c]) + (table[8 + a][c] + table[12 + a][c]);
  }
  EACH(b, 2) EACH(c, COLUMNS) {
    rows[0][b][c] = first[2 * b][c] + first[2 * b + 1][c];
    rows[1][b][c] = first[b][c] + first[2 + b][c];
    rows[2][b][c] = last[2 * b][c] + last[2 * b + 1][c];
    rows[3][b][c] = last[b][c] + last[2 + b][c];
  }
}

/* The rows of the tokens of a byte's positions, from t; zeros behind the last. */
static void weigh_byte(int64_t T, int64_t t, const row *products, const of_bits *factor, const heads_of_bits *weights,
                       row (*restrict rows)[2]) {
  EACH(q, 8) EACH(b, 2) {
    if (t + q < T)
      weigh(products[t + q], products[T + b], factor[t + q][b], weights[t + q][b], rows[q][b]);
    else
      memset(rows[q][b], 0, sizeof(row));
  }
}

/* The tables of a byte's two patterns, high and low, for the positions from t. */
static void tabulate_byte(int64_t T, int64_t t, const row *products, const of_bits *factor,
                          const heads_of_bits *weights, row (*restrict tables)[16]) {
  row rows[8][2];
  weigh_byte(T, t, products, factor, weights, rows);
  tabulate(rows, tables[0]);
  tabulate(rows + 4, tables[1]);
}

/* Adds to each sample's sums the rows of its tokens, two bytes at a time to go through the sums less often. */
static void sum_tokens(int64_t T, int64_t n, const row *products, const of_bits *factor, const heads_of_bits *weights,
                       const uint8_t *bits, row *restrict sums) {
  int64_t G = (T + 7) / 8;
  for (int64_t g = 0; g < G; g += 2) {
    row tables[4][16];
    int64_t next = g + 1 < G ? 1 : 0; /* behind the last byte comes itself, with rows of zeros */
    tabulate_byte(T, 8 * g, products, factor, weights, tables);
    tabulate_byte(T, 8 * g + 8, products, factor, weights, tables + 2);
    EACH(i, n) {
      uint8_t first = bits[i * G + g], second = bits[i * G + g + next];
      const REAL *restrict a = tables[0][first >> 4], *restrict b = tables[1][first & 15];
      const REAL *restrict c = tables[2][second >> 4], *restrict d = tables[3][second & 15];
      EACH(j, COLUMNS) sums[i][j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
  }
}

/* A sample's bits at the positions of two bytes, the first in bit 15; next: how far the second byte is, 0 for none. */
static unsigned two_bytes(const uint8_t *bits, int64_t next) { return bits[0] << 8 | (next ? bits[next] : 0); }

/* Adds to a sample's sums the rows of its tokens at the positions of two bytes: the values of what the masks keep, and
   all weights, since dropout comes behind the softmax. */
APART void add_kept(unsigned bits, const row (*restrict rows)[2], const heads *restrict keep, REAL *restrict sums,
                    REAL *restrict kept) {
  EACH(q, MASKS) {
    const REAL *restrict x = rows[q][bits >> (MASKS - 1 - q) & 1], *restrict m = keep[q];
    CHANNELS(j, h) sums[j * HEADS + h] += m[h] * x[j * HEADS + h];
    EACH(h, HEADS) sums[WIDTH + h] += x[WIDTH + h];
    EACH(h, HEADS) kept[h] += m[h] * x[WIDTH + h];
  }
}

/* Those of [CLS]'s own weights are the first that are drawn. */
static void draw_cls_masks(int64_t n, dropout *d, scratch *s) {
  for (int64_t i = 0; i < n; i += MASKS) draw_masks(d, s->cls_keep + i);
}

/* Each sample's sums with dropout, [CLS]'s row own included. */
static void sum_kept_tokens(int64_t T, int64_t n, const REAL *own, const uint8_t *bits, dropout d, scratch *s) {
  int64_t G = (T + 7) / 8;
  draw_cls_masks(n, &d, s);
  EACH(i, n) {
    const REAL *m = s->cls_keep[i];
    CHANNELS(j, h) s->sums[i][j * HEADS + h] = m[h] * own[j * HEADS + h];
    EACH(h, HEADS) s->sums[i][WIDTH + h] = own[WIDTH + h], s->kept[i][h] = m[h] * own[WIDTH + h];
  }
  for (int64_t g = 0; g < G; g += 2) {
    row rows[MASKS][2];
    weigh_byte(T, 8 * g, s->products, s->factor, s->weights, rows);
    weigh_byte(T, 8 * g + 8, s->products, s->factor, s->weights, rows + 8);
    EACH(i, n) {
      heads keep[MASKS];
      draw_masks(&d, keep);
      add_kept(two_bytes(bits + i * G + g, g + 1 < G), rows, keep, s->sums[i], s->kept[i]);
    }
  }
}

/* Attention outputs, channels as in a row; d: dropout, or NULL for none. */
static void attend(int64_t T, int64_t n, const vector *embedding, const uint8_t *bits, const dropout *d, scratch *s) {
  const folded *f = s->f;
  heads shift;
  memcpy(shift, f->cls + WIDTH, sizeof(heads));
  REAL of_bit[2] = {0, 0};
  EACH(b, 2) {
    centre(embedding[T + b], s->bits[b]);
    EACH(c, WIDTH) of_bit[b] += s->bits[b][c] * s->bits[b][c];
  }
  product_to_rows(2, WIDTH, (matrix){embedding[T], WIDTH, 1}, *f->transposed, s->products[T]);
  for (int64_t t = 0; t < T; t += BLOCK) {
    int64_t positions = T - t < BLOCK ? T - t : BLOCK;
    product_to_rows(positions, WIDTH, (matrix){embedding[t], WIDTH, 1}, *f->transposed, s->products[t]);
    for (int64_t u = t; u < t + positions; u++) {
      factors(embedding[u], s->bits, of_bit, s->factor[u]);
      EACH(b, 2) score(s->factor[u][b], s->products[u] + WIDTH, s->products[T + b] + WIDTH, s->weights[u][b], shift);
    }
  }
  EACH(h, HEADS) shift[h] -= HEADROOM;
  EACH(t, T) EACH(b, 2) EACH(h, HEADS) s->weights[t][b][h] = EXP(s->weights[t][b][h] - shift[h]);
  EACH(h, HEADS) s->cls_weights[0][h] = EXP(f->cls[WIDTH + h] - shift[h]);
  row own, zero = {0};
  weigh(f->cls, zero, 1, s->cls_weights[0], own);
  if (d) {
    sum_kept_tokens(T, n, own, bits, *d, s);
  } else {
    EACH(i, n) memcpy(s->sums[i], own, sizeof(row));
    sum_tokens(T, n, s->products, s->factor, s->weights, bits, s->sums);
  }
  EACH(i, n) {
    EACH(h, HEADS) s->reciprocal[i][h] = s->sums[i][WIDTH + h] < LEAST ? NAN : 1 / s->sums[i][WIDTH + h];
    if (d) { /* what is kept of the weights does not add up to 1 */
      CHANNELS(j, h) {
        int64_t c = j * HEADS + h;
        s->attended[i][c] = (s->sums[i][c] + f->constant[c] * s->kept[i][h]) * s->reciprocal[i][h];
      }
      continue;
    }
    CHANNELS(j, h) {
      int64_t c = j * HEADS + h;
      s->attended[i][c] = s->sums[i][c] * s->reciprocal[i][h] + f->constant[c];
    }
  }
}

/* From the gradients of the rows [w * v; w] of a position's two tokens: replaces the products by their gradient and the
   factors by the variances' gradients times 2 / d; adds to the bits' gradient. */
APART void weigh_backward(const row *restrict d_rows, const row *restrict by_bit, const heads *restrict weights,
                          REAL *restrict factor, REAL *restrict products, row *restrict d_by_bit) {
  heads along[2] = {{0}, {0}}, scale[2], d_score[2];
  REAL zero = factor[0], one = factor[1], d_zero = 0, d_one = 0;
  EACH(h, HEADS) scale[0][h] = weights[0][h] * zero, scale[1][h] = weights[1][h] * one;
  CHANNELS(j, h) {
    int64_t c = j * HEADS + h;
    REAL d0 = d_rows[0][c] * scale[0][h], d1 = d_rows[1][c] * scale[1][h];
    along[0][h] += d_rows[0][c] * (products[c] + by_bit[0][c]);
    along[1][h] += d_rows[1][c] * (products[c] + by_bit[1][c]);
    d_by_bit[0][c] += d0, d_by_bit[1][c] += d1, products[c] = d0 + d1;
  }
  EACH(h, HEADS) {
    int64_t c = WIDTH + h;
    d_score[0][h] = (d_rows[0][c] + along[0][h] * zero) * weights[0][h];
    d_score[1][h] = (d_rows[1][c] + along[1][h] * one) * weights[1][h];
    d_zero += weights[0][h] * along[0][h] + d_score[0][h] * (products[c] + by_bit[0][c]);
    d_one += weights[1][h] * along[1][h] + d_score[1][h] * (products[c] + by_bit[1][c]);
    d_score[0][h] *= zero, d_score[1][h] *= one;
    d_by_bit[0][c] += d_score[0][h], d_by_bit[1][c] += d_score[1][h], products[c] = d_score[0][h] + d_score[1][h];
  }
  factor[0] = -d_zero * zero * zero * zero / WIDTH; /* the factor is variance^(-1/2) */
  factor[1] = -d_one * one * one * one / WIDTH;
}

/* The gradients of the rows of two bytes' positions, rows[position][bit], from those of the samples' sums. next: how
   far the second byte is, 0 if there is none; its rows then mean nothing. */
static void collect(int64_t n, const row *restrict d_sums, const uint8_t *bits, int64_t G, int64_t next,
                    row (*restrict rows)[2]) {
  row tables[4][16];
  memset(tables, 0, sizeof tables);
  EACH(i, n) {
    uint8_t first = bits[i * G], second = bits[i * G + next];
    REAL *restrict x = tables[0][first >> 4], *restrict y = tables[1][first & 15];
    REAL *restrict z = tables[2][second >> 4], *restrict w = tables[3][second & 15];
    const REAL *restrict d = d_sums[i];
    EACH(c, COLUMNS) x[c] += d[c];
    EACH(c, COLUMNS) y[c] += d[c];
    EACH(c, COLUMNS) z[c] += d[c];
    EACH(c, COLUMNS) w[c] += d[c];
  }
  EACH(k, 4) distribute(tables[k], rows + 4 * k);
}

/* What a sample with dropout adds to them. */
APART void add_to_rows(unsigned bits, const heads *restrict keep, const REAL *restrict d_sums,
                        const REAL *restrict d_kept, row (*restrict rows)[2]) {
  EACH(q, MASKS) {
    REAL *restrict x = rows[q][bits >> (MASKS - 1 - q) & 1];
    const REAL *restrict m = keep[q];
    CHANNELS(j, h) x[j * HEADS + h] += m[h] * d_sums[j * HEADS + h];
    EACH(h, HEADS) x[WIDTH + h] += m[h] * d_kept[h] + d_sums[WIDTH + h];
  }
}

/* The same with dropout. */
static void collect_kept(int64_t n, const scratch *s, const uint8_t *bits, int64_t G, int64_t next, dropout *d,
                         row (*restrict rows)[2]) {
  memset(rows, 0, 2 * MASKS * sizeof(row));
  EACH(i, n) {
    heads keep[MASKS];
    draw_masks(d, keep);
    add_to_rows(two_bytes(bits + i * G, next), keep, s->sums[i], s->d_kept[i], rows);
  }
}

/* Adds to a position's and the bits' gradients what the tokens' variances contribute: 2 / d of the centred token. */
static void variance_backward(const REAL *embedding, const vector *bits, const REAL *d_variance,
                              REAL *restrict d_embedding, vector *restrict d_bits) {
  REAL zero = d_variance[0], one = d_variance[1];
  vector position;
  centre(embedding, position);
  EACH(c, WIDTH) {
    d_embedding[c] += (zero + one) * position[c] + zero * bits[0][c] + one * bits[1][c];
    d_bits[0][c] += zero * (position[c] + bits[0][c]);
    d_bits[1][c] += one * (position[c] + bits[1][c]);
  }
}

/* With dropout, the gradients of a sample's sums, in their place, and of what is kept of its weights; adds to those of
   the constant and of the sum over samples of [CLS]'s row. */
APART void kept_backward(const REAL *restrict d_attended, const REAL *restrict attended, const REAL *restrict reciprocal,
                         const REAL *restrict constant, const REAL *restrict kept, const REAL *restrict cls_keep,
                         REAL *restrict sums, REAL *restrict d_kept, REAL *restrict d_constant, REAL *restrict total) {
  heads along = {0};
  EACH(h, HEADS) d_kept[h] = 0;
  CHANNELS(j, h) {
    int64_t c = j * HEADS + h;
    REAL d = d_attended[c] * reciprocal[h];
    sums[c] = d;
    along[h] += d * attended[c];
    d_kept[h] += d * constant[c];
    d_constant[c] += d * kept[h];
    total[c] += d * cls_keep[h];
  }
  EACH(h, HEADS) {
    sums[WIDTH + h] = -along[h];
    total[WIDTH + h] += cls_keep[h] * d_kept[h] - along[h];
  }
}

/* The gradients of the samples' sums, in their place; those of [CLS]'s row and the constant. */
static void normaliser_backward(int64_t n, const vector *d_attended, const dropout *dropped, scratch *s, REAL *d_cls,
                                REAL *d_constant) {
  const folded *f = s->f;
  row total = {0};
  EACH(i, n) {
    if (dropped) {
      kept_backward(d_attended[i], s->attended[i], s->reciprocal[i], f->constant, s->kept[i], s->cls_keep[i],
                    s->sums[i], s->d_kept[i], d_constant, total);
      continue;
    }
    heads along = {0};
    CHANNELS(j, h) {
      int64_t c = j * HEADS + h;
      REAL d = d_attended[i][c] * s->reciprocal[i][h];
      s->sums[i][c] = d;
      along[h] += d * (s->attended[i][c] - f->constant[c]);
      d_constant[c] += d_attended[i][c];
    }
    EACH(h, HEADS) s->sums[i][WIDTH + h] = -along[h];
    EACH(c, COLUMNS) total[c] += s->sums[i][c];
  }
  EACH(h, HEADS) {
    REAL along = 0;
    EACH(j, PER_HEAD) {
      int64_t c = j * HEADS + h;
      along += total[c] * f->cls[c];
      d_cls[c] = total[c] * s->cls_weights[0][h];
    }
    d_cls[WIDTH + h] = (total[WIDTH + h] + along) * s->cls_weights[0][h];
  }
}

/* From the gradients of the attention outputs, channels as in a row, and of [CLS]'s embedding in the residual stream:
   those of the parameters. */
static void attend_backward(int64_t T, int64_t n, const parameters *p, const vector *d_attended, const REAL *d_start,
                            const uint8_t *bits, const dropout *dropped, scratch *s, parameters *g) {
  int64_t G = (T + 7) / 8;
  row d_cls = {0}, by_bit[2], d_by_bit[2] = {{0}, {0}}, rows[16][2];
  vector d_constant = {0}, d_bits[2] = {{0}, {0}}, d_projection[COLUMNS] ALIGNED;
  dropout again = dropped ? *dropped : (dropout){0};
  if (dropped) draw_cls_masks(n, &again, s);
  normaliser_backward(n, d_attended, dropped, s, d_cls, d_constant);
  memcpy(by_bit, s->products[T], sizeof by_bit);
  memset(d_projection, 0, sizeof d_projection);
  for (int64_t t = 0; t < T; t += BLOCK) {
    int64_t positions = T - t < BLOCK ? T - t : BLOCK;
    for (int64_t u = 0; u < positions; u += 16) {
      const uint8_t *from = bits + (t + u) / 8;
      if (dropped)
        collect_kept(n, s, from, G, u + 8 < positions, &again, rows);
      else
        collect(n, s->sums, from, G, u + 8 < positions, rows);
      for (int64_t q = 0; q < 16 && u + q < positions; q++) {
        int64_t v = t + u + q;
        weigh_backward(rows[q], by_bit, s->weights[v], s->factor[v], s->products[v], d_by_bit);
      }
    }
    matrix d = {s->products[t], COLUMNS, 1}, d_transposed = {s->products[t], 1, COLUMNS};
    product_to_vectors(positions, WIDTH + HEADS, d, *s->f->projection, g->embedding[t]);
    add_product_to_vectors(WIDTH + HEADS, positions, d_transposed, p->embedding[t], *d_projection);
    EACH(u, positions) variance_backward(p->embedding[t + u], s->bits, s->factor[t + u], g->embedding[t + u], d_bits);
  }
  product_to_vectors(2, WIDTH + HEADS, (matrix){*d_by_bit, COLUMNS, 1}, *s->f->projection, g->embedding[T]);
  add_product_to_vectors(WIDTH + HEADS, 2, (matrix){*d_by_bit, 1, COLUMNS}, p->embedding[T], *d_projection);
  EACH(b, 2) EACH(c, WIDTH) g->embedding[T + b][c] += d_bits[b][c];
  fold_attention_backward(p, s->f, d_projection, d_cls, d_constant, d_start, g);
}

/* ---- behind attention ---- */

/* x = (x + bias) * mask + shortcut. */
INLINE void join(const int columns, REAL *restrict x, const REAL *bias, const REAL *mask, const REAL *shortcut) {
  EACH(c, columns) x[c] += bias[c];
  if (mask) EACH(c, columns) x[c] *= mask[c];
  EACH(c, columns) x[c] += shortcut[c];
}

static void read_out(int64_t n, const parameters *p, masks m, scratch *s) {
  const folded *f = s->f;
  product_to_vectors(n, WIDTH, (matrix){*s->attended, WIDTH, 1}, *f->out_transposed, *s->residual);
  EACH(i, n) {
    join(WIDTH, s->residual[i], p->out_bias, m.attention ? m.attention[i] : NULL, f->start);
    s->mlp_scale[i] = normalise(s->residual[i], s->mlp_normal[i]);
  }
  product_to_hidden(n, WIDTH, (matrix){*s->mlp_normal, WIDTH, 1}, *f->mlp_in_transposed, *s->activated);
  EACH(i, n) {
    EACH(c, MLP_WIDTH) s->activated[i][c] += f->mlp_in_offset[c];
    activate(s->activated[i], s->slope[i]);
    if (m.mlp_hidden) EACH(c, MLP_WIDTH) s->activated[i][c] *= m.mlp_hidden[i][c], s->slope[i][c] *= m.mlp_hidden[i][c];
  }
  product_to_vectors(n, MLP_WIDTH, (matrix){*s->activated, MLP_WIDTH, 1}, *f->mlp_out_transposed, *s->final_normal);
  EACH(i, n) {
    REAL logit = f->readout_offset;
    join(WIDTH, s->final_normal[i], p->mlp_out_bias, m.mlp ? m.mlp[i] : NULL, s->residual[i]);
    s->final_scale[i] = normalise(s->final_normal[i], s->final_normal[i]);
    EACH(c, WIDTH) logit += s->final_normal[i][c] * f->readout[c];
    s->logits[i] = logit;
  }
}

/* The sums over n rows. */
INLINE void sum_rows(const int columns, int64_t n, const REAL *x, REAL *restrict sums) {
  memset(sums, 0, columns * sizeof(REAL));
  EACH(i, n) EACH(c, columns) sums[c] += x[i * columns + c];
}

/* A row of gradients of a weight with the LayerNorm's gain folded in, d_weight, becomes that of the weight; adds to
   those of the gain and the bias. d_offset: of the layer's output. */
static void unfold(const REAL *weight, REAL d_offset, const REAL *gain, const REAL *bias, REAL *restrict d_weight,
                   REAL *restrict d_gain, REAL *restrict d_bias) {
  EACH(i, WIDTH) {
    d_gain[i] += d_weight[i] * weight[i];
    d_bias[i] += d_offset * weight[i];
    d_weight[i] = d_weight[i] * gain[i] + d_offset * bias[i];
  }
}

/* The gradient of a residual stream's branch: d, or in dropped its product with the mask. */
static const REAL *branch(int64_t n, const REAL *d, const REAL *mask, REAL *restrict dropped) {
  if (!mask) return d;
  EACH(i, n * WIDTH) dropped[i] = d[i] * mask[i];
  return dropped;
}

/* From the logits' gradients: the gradient of the residual stream before the read-out, in s->residual. */
static void final_backward(int64_t n, const parameters *p, const REAL *d_logits, scratch *s, parameters *g) {
  memset(g->readout_weight, 0, sizeof(vector));
  memset(g->final_norm_gain, 0, sizeof(vector));
  memset(g->final_norm_bias, 0, sizeof(vector));
  memset(s->residual, 0, n * sizeof(vector));
  *g->readout_bias = 0;
  EACH(i, n) {
    vector d_normal;
    EACH(c, WIDTH) {
      d_normal[c] = d_logits[i] * s->f->readout[c];
      g->readout_weight[c] += d_logits[i] * s->final_normal[i][c];
    }
    *g->readout_bias += d_logits[i];
    normalise_backward(d_normal, s->final_normal[i], s->final_scale[i], s->residual[i]);
  }
  unfold(p->readout_weight, *g->readout_bias, p->final_norm_gain, p->final_norm_bias, g->readout_weight,
         g->final_norm_gain, g->final_norm_bias);
}

/* From the gradient of the stream behind the MLP, in s->residual, to that before it, in its place. */
static void mlp_backward(int64_t n, const parameters *p, masks m, scratch *s, parameters *g) {
  const REAL *d_added = branch(n, *s->residual, (const REAL *)m.mlp, *s->final_normal);
  sum_rows(WIDTH, n, d_added, g->mlp_out_bias);
  product_to_hidden(WIDTH, n, (matrix){d_added, 1, WIDTH}, *s->activated, *g->mlp_out_weight);
  product_to_hidden(n, WIDTH, (matrix){d_added, WIDTH, 1}, *p->mlp_out_weight, *s->d_hidden);
  EACH(i, n) EACH(c, MLP_WIDTH) s->d_hidden[i][c] *= s->slope[i][c];
  sum_rows(MLP_WIDTH, n, *s->d_hidden, g->mlp_in_bias);
  product_to_vectors(MLP_WIDTH, n, (matrix){*s->d_hidden, 1, MLP_WIDTH}, *s->mlp_normal, *g->mlp_in_weight);
  memset(g->mlp_norm_gain, 0, sizeof(vector));
  memset(g->mlp_norm_bias, 0, sizeof(vector));
  EACH(o, MLP_WIDTH) {
    unfold(p->mlp_in_weight[o], g->mlp_in_bias[o], p->mlp_norm_gain, p->mlp_norm_bias, g->mlp_in_weight[o],
           g->mlp_norm_gain, g->mlp_norm_bias);
  }
  product_to_vectors(n, MLP_WIDTH, (matrix){*s->d_hidden, MLP_WIDTH, 1}, *s->f->mlp_in, *s->final_normal);
  EACH(i, n) normalise_backward(s->final_normal[i], s->mlp_normal[i], s->mlp_scale[i], s->residual[i]);
}

/* From the gradient of the stream behind attention, in s->residual, to that of [CLS]'s embedding in it; the gradients
   of the attention outputs, in s->mlp_normal. */
static void out_backward(int64_t n, masks m, scratch *s, parameters *g, REAL *d_start) {
  vector d_channels[WIDTH] ALIGNED, d_rows[WIDTH] ALIGNED;
  const REAL *d_added = branch(n, *s->residual, (const REAL *)m.attention, *s->final_normal);
  sum_rows(WIDTH, n, *s->residual, d_start);
  sum_rows(WIDTH, n, d_added, g->out_bias);
  product_to_vectors(WIDTH, n, (matrix){*s->attended, 1, WIDTH}, d_added, *d_channels);
  by_head(d_channels, d_rows);
  transpose(WIDTH, WIDTH, *d_rows, *g->out_weight);
  product_to_vectors(n, WIDTH, (matrix){d_added, WIDTH, 1}, *s->f->out, *s->mlp_normal);
}

/* Mean cross-entropy, and its gradient in place of the logits. */
static REAL cross_entropy(int64_t n, const REAL *labels, REAL *logits) {
  REAL loss = 0;
  EACH(i, n) {
    REAL x = logits[i], e = EXP(-(REAL)fabs(x));
    loss += (x > 0 ? x : 0) - x * labels[i] + (REAL)log1p(e);
    logits[i] = ((x > 0 ? 1 : e) / (1 + e) - labels[i]) / n;
  }
  return loss / n;
}

/* ---- what kernels.py calls; which return 1 if there is no memory, 2 if a loss or a logit is not finite, else 0 ---- */

static int status(int64_t count, const REAL *results) {
  EACH(i, count) if (!isfinite(results[i])) return 2;
  return 0;
}

/* Logits [R][n]. flat: the parameters; bits: [R or 1][n][G], with shared = 1 if all runs have the same. */
int infer(int64_t R, int64_t T, int64_t n, int64_t shared, REAL *flat, const uint8_t *bits, REAL *logits) {
  scratch s = allocate(T, n);
  if (!s.f) return 1;
  EACH(r, R) {
    parameters p = of_run(flat, R, r, T);
    fold_attention(&p, s.f);
    fold_mlp(&p, s.f);
    attend(T, n, p.embedding, bits + (shared ? 0 : r * n * ((T + 7) / 8)), NULL, &s);
    read_out(n, &p, (masks){0}, &s);
    memcpy(logits + r * n, s.logits, n * sizeof(REAL));
  }
  free(s.f);
  return status(R * n, logits);
}

/* Losses [R], and the gradients in the parameters' layout. bits: [R][n][G]; labels: [R][n], 0 or 1; seeds [R] of the
   masks of attention weights, which are dropped at the rate; other dropout masks [R][n][d], [R][n][m] and [R][n][d];
   seeds and masks are NULL for no dropout. */
int train(int64_t R, int64_t T, int64_t n, double rate, REAL *flat, const uint8_t *bits, const REAL *labels,
          const uint64_t *seeds, const vector *attention_mask, const hidden *hidden_mask, const vector *mlp_mask,
          REAL *gradients, REAL *losses) {
  scratch s = allocate(T, n);
  if (!s.f) return 1;
  EACH(r, R) {
    parameters p = of_run(flat, R, r, T), g = of_run(gradients, R, r, T);
    const uint8_t *own = bits + r * n * ((T + 7) / 8);
    dropout weights = seeded(seeds ? seeds[r] : 0, rate);
    masks m = {seeds ? &weights : NULL, attention_mask ? attention_mask + r * n : NULL,
               hidden_mask ? hidden_mask + r * n : NULL, mlp_mask ? mlp_mask + r * n : NULL};
    vector d_start;
    fold_attention(&p, s.f);
    fold_mlp(&p, s.f);
    attend(T, n, p.embedding, own, m.weights, &s);
    read_out(n, &p, m, &s);
    losses[r] = cross_entropy(n, labels + r * n, s.logits);
    final_backward(n, &p, s.logits, &s, &g);
    mlp_backward(n, &p, m, &s, &g);
    out_backward(n, m, &s, &g, d_start);
    attend_backward(T, n, &p, s.mlp_normal, d_start, own, m.weights, &s, &g);
  }
  free(s.f);
  return status(R, losses);
}

/* The masks of attention weights that train draws, for tests: keep [R][n][T + 1][H], [CLS]'s own first. */
int draw(int64_t R, int64_t T, int64_t n, double rate, const uint64_t *seeds, heads *keep) {
  heads drawn[MASKS];
  EACH(r, R) {
    dropout d = seeded(seeds[r], rate);
    heads *own = keep + r * n * (T + 1);
    EACH(i, n) {
      if (i % MASKS == 0) draw_masks(&d, drawn);
      memcpy(own + i * (T + 1), drawn[i % MASKS], sizeof(heads));
    }
    for (int64_t t = 0; t < T; t += MASKS) EACH(i, n) {
        draw_masks(&d, drawn);
        memcpy(own + i * (T + 1) + 1 + t, drawn, (T - t < MASKS ? T - t : MASKS) * sizeof(heads));
      }
  }
  return 0;
}
