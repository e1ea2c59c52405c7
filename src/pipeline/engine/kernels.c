/* [CLS] attention over the table of distinct tokens, for the CPU: what attention.py says in torch, fused, with its
   derivative.

   Compiled by kernels.py for one architecture: REAL, WIDTH (d), HEADS (H) and HEADROOM are given as macros.

   The product of the table with the one-hot samples is a sum of rows: of each position, the row of the sample's bit.
   Four positions together have 16 patterns of bits, so the sums of all 16 are tabulated and a sample takes one row for
   its four bits (the method of the four Russians; Arlazarov et al. 1970). Every number is added that the product would
   add, none is subtracted. The backward pass is the transpose: a sample's gradient is added to the row of its pattern,
   and the 16 rows are then summed to those of each position's two bits.

   A byte of the packed samples holds eight positions, the first in the highest bit: two patterns. What a position needs
   is computed when its byte is processed and stays in the cache; the weighted table and its gradient are never stored.

   Shapes, all contiguous: R runs, T positions, n samples, G = (T + 7) / 8 bytes, C = d + H columns. A row of the table
   has the values' channels, channel-major ([d / H, H]), and then the H scores, so that loops run over heads. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PER_HEAD (WIDTH / HEADS)
#define COLUMNS (WIDTH + HEADS)
#define EPSILON ((REAL)1e-5) /* of LayerNorm, as in layers.py */
#define EACH(i, count) for (int64_t i = 0; i < (count); i++)

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
/* glibc has these for vectors, and tells the compiler of it only together with options that give up NaN */
__attribute__((simd("notinbranch"))) float expf(float);
__attribute__((simd("notinbranch"))) double exp(double);
#endif
#define EXP(x) (sizeof(REAL) == 4 ? (REAL)expf((float)(x)) : (REAL)exp((double)(x)))

typedef REAL row[COLUMNS];
typedef REAL heads[HEADS];
typedef REAL vector[WIDTH];

/* x less its mean; in place too. */
static void centre(const REAL *x, REAL *centred) {
  REAL sum = 0;
  EACH(c, WIDTH) sum += x[c];
  EACH(c, WIDTH) centred[c] = x[c] - sum / WIDTH;
}

/* Each token's LayerNorm factor [T][2], its scores [T][2] and the largest score of all. One pass over an embedding: its
   mean is small beside its spread, since LayerNorm gives it no gradient, so E[x^2] - E[x]^2 loses no digits. */
static void score(int64_t T, const vector *restrict embedding, const row *restrict products,
                  REAL (*restrict factor)[2], heads (*restrict scores)[2], REAL *restrict largest) {
  vector bits[2];
  REAL of_bit[2] = {0, 0};
  EACH(b, 2) {
    centre(embedding[T + b], bits[b]);
    EACH(c, WIDTH) of_bit[b] += bits[b][c] * bits[b][c];
  }
  EACH(t, T) {
    REAL sum = 0, squares = 0, dots[2] = {0, 0};
    EACH(c, WIDTH) {
      REAL x = embedding[t][c];
      sum += x, squares += x * x;
      dots[0] += x * bits[0][c], dots[1] += x * bits[1][c];
    }
    EACH(b, 2) {
      REAL variance = (squares - sum * sum / WIDTH + 2 * dots[b] + of_bit[b]) / WIDTH;
      REAL f = 1 / (REAL)sqrt(variance + EPSILON);
      const REAL *by_position = products[t] + WIDTH, *by_bit = products[T + b] + WIDTH;
      EACH(h, HEADS) {
        REAL s = f * (by_position[h] + by_bit[h]);
        scores[t][b][h] = s;
        largest[h] = s > largest[h] ? s : largest[h];
      }
      factor[t][b] = f;
    }
  }
}

/* A token's row [w * v; w]. */
static void weigh(const REAL *restrict by_position, const REAL *restrict by_bit, REAL factor,
                  const REAL *restrict weights, REAL *restrict weighted) {
  heads scale;
  EACH(h, HEADS) scale[h] = weights[h] * factor;
  EACH(j, PER_HEAD) EACH(h, HEADS) {
    weighted[j * HEADS + h] = scale[h] * (by_position[j * HEADS + h] + by_bit[j * HEADS + h]);
  }
  EACH(h, HEADS) weighted[WIDTH + h] = weights[h];
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
  EACH(c, COLUMNS) {
    EACH(b, 2) {
      rows[0][b][c] = first[2 * b][c] + first[2 * b + 1][c];
      rows[1][b][c] = first[b][c] + first[2 + b][c];
      rows[2][b][c] = last[2 * b][c] + last[2 * b + 1][c];
      rows[3][b][c] = last[b][c] + last[2 + b][c];
    }
  }
}

/* Adds to each sample's sums the rows of its tokens. */
static void sum_tokens(int64_t T, int64_t n, const row *products, REAL (*factor)[2], heads (*weights)[2],
                       const uint8_t *bits, row *restrict sums) {
  int64_t G = (T + 7) / 8;
  EACH(g, G) {
    row rows[8][2], high[16], low[16];
    EACH(q, 8) EACH(b, 2) {
      int64_t t = 8 * g + q;
      if (t < T)
        weigh(products[t], products[T + b], factor[t][b], weights[t][b], rows[q][b]);
      else
        memset(rows[q][b], 0, sizeof(row));
    }
    tabulate(rows, high);
    tabulate(rows + 4, low);
    EACH(i, n) {
      uint8_t byte = bits[i * G + g];
      const REAL *restrict x = high[byte >> 4], *restrict y = low[byte & 15];
      EACH(c, COLUMNS) sums[i][c] += x[c] + y[c];
    }
  }
}

/* Attention outputs [R][n][d], channels as torch has them ([H, d / H]), and what the backward pass needs:
   reciprocal normalisers [R][n][H], factors [R][T][2], weights [R][T][2][H] and [CLS]'s own [R][H].
   products: [R][T + 2][C]; cls: [R][C]; bits: [R or 1][n][G], with shared = 1 if all runs have the same. */
int attend(int64_t R, int64_t T, int64_t n, int64_t shared, const vector *embedding, const row *products,
           const row *cls, const vector *constant, const uint8_t *bits, REAL (*factor)[2], heads (*weights)[2],
           heads *cls_weights, heads *reciprocal, vector *output) {
  row *sums = malloc(n * sizeof(row));
  if (!sums) return 1;
  EACH(r, R) {
    heads shift;
    memcpy(shift, cls[r] + WIDTH, sizeof(heads));
    score(T, embedding, products, factor, weights, shift);
    EACH(h, HEADS) shift[h] -= HEADROOM;
    EACH(t, T) EACH(b, 2) EACH(h, HEADS) weights[t][b][h] = EXP(weights[t][b][h] - shift[h]);
    EACH(h, HEADS) cls_weights[r][h] = EXP(cls[r][WIDTH + h] - shift[h]);
    row own, zero = {0};
    weigh(cls[r], zero, 1, cls_weights[r], own);
    EACH(i, n) memcpy(sums[i], own, sizeof(row));
    sum_tokens(T, n, products, factor, weights, bits, sums);
    EACH(i, n) {
      EACH(h, HEADS) reciprocal[i][h] = 1 / sums[i][WIDTH + h];
      EACH(h, HEADS) EACH(j, PER_HEAD) {
        int64_t c = h * PER_HEAD + j;
        output[i][c] = sums[i][j * HEADS + h] * reciprocal[i][h] + constant[r][c];
      }
    }
    embedding += T + 2, products += T + 2, factor += T, weights += T, reciprocal += n, output += n;
    if (!shared) bits += n * ((T + 7) / 8);
  }
  free(sums);
  return 0;
}

/* From the gradient of a token's row [w * v; w]: adds that of its columns before the factor to d_columns and returns
   that of the factor. */
static REAL weigh_backward(const REAL *restrict d_row, const REAL *restrict by_position, const REAL *restrict by_bit,
                           REAL factor, const REAL *restrict weights, REAL *restrict d_columns) {
  heads along = {0}, scale;
  REAL d_factor = 0;
  EACH(h, HEADS) scale[h] = weights[h] * factor;
  EACH(j, PER_HEAD) EACH(h, HEADS) {
    int64_t c = j * HEADS + h;
    along[h] += d_row[c] * (by_position[c] + by_bit[c]);
    d_columns[c] += d_row[c] * scale[h];
  }
  EACH(h, HEADS) {
    int64_t c = WIDTH + h;
    REAL d_score = (d_row[c] + along[h] * factor) * weights[h];
    d_factor += weights[h] * along[h] + d_score * (by_position[c] + by_bit[c]);
    d_columns[c] += d_score * factor;
  }
  return d_factor;
}

/* From d_output [R][n][d]: replaces products by their gradients and factors by those of the variances, and gives
   [CLS]'s d_cls [R][C] and d_constant [R][d]. */
int attend_backward(int64_t R, int64_t T, int64_t n, const vector *d_output, const vector *output,
                    const heads *reciprocal, const row *cls, const vector *constant, const heads *cls_weights,
                    const uint8_t *bits, row *products, REAL (*factor)[2], heads (*weights)[2], row *d_cls,
                    vector *d_constant) {
  int64_t G = (T + 7) / 8;
  row *d_sums = malloc(n * sizeof(row));
  if (!d_sums) return 1;
  EACH(r, R) {
    row total = {0}, zero = {0}, by_bit[2], d_by_bit[2] = {{0}, {0}};
    memset(d_constant[r], 0, sizeof(vector));
    EACH(i, n) {
      heads along = {0};
      EACH(h, HEADS) EACH(j, PER_HEAD) {
        int64_t c = h * PER_HEAD + j;
        REAL d = d_output[i][c] * reciprocal[i][h];
        d_sums[i][j * HEADS + h] = d;
        along[h] += d * (output[i][c] - constant[r][c]);
      }
      EACH(h, HEADS) d_sums[i][WIDTH + h] = -along[h];
      EACH(c, COLUMNS) total[c] += d_sums[i][c];
      EACH(c, WIDTH) d_constant[r][c] += d_output[i][c];
    }
    memset(d_cls[r], 0, sizeof(row));
    weigh_backward(total, cls[r], zero, 1, cls_weights[r], d_cls[r]);
    memcpy(by_bit, products[T], sizeof by_bit);
    EACH(g, G) {
      row rows[8][2], high[16], low[16];
      memset(high, 0, sizeof high);
      memset(low, 0, sizeof low);
      EACH(i, n) {
        uint8_t byte = bits[i * G + g];
        REAL *restrict x = high[byte >> 4], *restrict y = low[byte & 15];
        const REAL *restrict d = d_sums[i];
        EACH(c, COLUMNS) x[c] += d[c];
        EACH(c, COLUMNS) y[c] += d[c];
      }
      distribute(high, rows);
      distribute(low, rows + 4);
      for (int64_t q = 0, t = 8 * g; q < 8 && t < T; q++, t++) {
        row d_columns = {0};
        EACH(b, 2) {
          row d_column = {0};
          REAL f = factor[t][b];
          REAL d_factor = weigh_backward(rows[q][b], products[t], by_bit[b], f, weights[t][b], d_column);
          factor[t][b] = -d_factor * f * f * f / 2; /* the factor is variance^(-1/2) */
          EACH(c, COLUMNS) {
            d_columns[c] += d_column[c];
            d_by_bit[b][c] += d_column[c];
          }
        }
        memcpy(products[t], d_columns, sizeof(row));
      }
    }
    memcpy(products[T], d_by_bit, sizeof d_by_bit);
    d_output += n, output += n, reciprocal += n, products += T + 2, factor += T, weights += T, bits += n * G;
  }
  free(d_sums);
  return 0;
}

/* Adds to d_embedding [R][T + 2][d] what the tokens' variances [R][T][2] contribute: 2 / d of the centred token. */
int variance_backward(int64_t R, int64_t T, const vector *embedding, REAL (*d_variance)[2], vector *d_embedding) {
  EACH(r, R) {
    vector position, bits[2], d_bits[2] = {{0}, {0}};
    REAL total[2] = {0, 0};
    EACH(b, 2) centre(embedding[T + b], bits[b]);
    EACH(t, T) {
      REAL zero = d_variance[t][0] * 2 / WIDTH, one = d_variance[t][1] * 2 / WIDTH;
      centre(embedding[t], position);
      EACH(c, WIDTH) {
        d_embedding[t][c] += (zero + one) * position[c] + zero * bits[0][c] + one * bits[1][c];
        d_bits[0][c] += zero * position[c];
        d_bits[1][c] += one * position[c];
      }
      total[0] += zero, total[1] += one;
    }
    EACH(b, 2) EACH(c, WIDTH) d_embedding[T + b][c] += d_bits[b][c] + total[b] * bits[b][c];
    embedding += T + 2, d_variance += T, d_embedding += T + 2;
  }
  return 0;
}

/* The query folded into the keys. A score is the inner product of [CLS]'s query with a token's key, so it is that of the
   normalised token with the query times the key weights, and no key is formed. The LayerNorm's gain goes into the weights
   too, and so does the centring of the token. Its bias shifts all scores alike, which the softmax does not see, and
   adds a constant to all values.

   From the parameters, weights [R][d][d] and vectors [R][d]: [CLS] normalised and the reciprocal of its deviation, the
   query, the score weights before the gain [R][H][d], the projection from a token to its row [R][C][d], [CLS]'s row [R][C]
   and the constant [R][d]. */
int fold(int64_t R, const vector *token, const vector *position, const vector *gain, const vector *bias,
         const vector *query_weight, const vector *query_bias, const vector *key_weight, const vector *value_weight,
         const vector *value_bias, vector *normalised, REAL *scale, vector *query, vector *scores, vector *projection,
         row *cls, vector *constant) {
  EACH(r, R) {
    vector x, affine;
    REAL variance = 0;
    EACH(i, WIDTH) x[i] = token[r][i] + position[r][i];
    centre(x, x);
    EACH(i, WIDTH) variance += x[i] * x[i];
    scale[r] = 1 / (REAL)sqrt(variance / WIDTH + EPSILON);
    EACH(i, WIDTH) normalised[r][i] = x[i] * scale[r];
    EACH(i, WIDTH) affine[i] = gain[r][i] * normalised[r][i] + bias[r][i];
    memset(scores, 0, HEADS * sizeof(vector));
    EACH(h, HEADS) EACH(j, PER_HEAD) {
      int64_t o = h * PER_HEAD + j, c = j * HEADS + h;
      REAL q = query_bias[r][o], k = value_bias[r][o];
      EACH(i, WIDTH) q += query_weight[o][i] * affine[i];
      EACH(i, WIDTH) k += value_weight[o][i] * bias[r][i];
      query[r][o] = q;
      constant[r][o] = k;
      EACH(i, WIDTH) scores[h][i] += key_weight[o][i] * q;
      EACH(i, WIDTH) projection[c][i] = value_weight[o][i] * gain[r][i];
    }
    EACH(h, HEADS) EACH(i, WIDTH) {
      scores[h][i] /= (REAL)sqrt(PER_HEAD);
      projection[WIDTH + h][i] = scores[h][i] * gain[r][i];
    }
    EACH(c, COLUMNS) {
      REAL sum = 0;
      centre(projection[c], projection[c]);
      EACH(i, WIDTH) sum += projection[c][i] * normalised[r][i];
      cls[r][c] = sum;
    }
    query_weight += WIDTH, key_weight += WIDTH, value_weight += WIDTH, scores += HEADS, projection += COLUMNS;
  }
  return 0;
}

/* From the gradients of the projection (overwritten), [CLS]'s row, the constant and the residual stream, which begins
   with [CLS]'s embedding: those of the parameters. */
int fold_backward(int64_t R, const vector *gain, const vector *bias, const vector *query_weight,
                  const vector *key_weight, const vector *value_weight, const vector *normalised, const REAL *scale,
                  const vector *query, const vector *scores, const vector *projection, vector *d_projection,
                  const row *d_cls, const vector *d_constant, const vector *d_residual, vector *d_token,
                  vector *d_position, vector *d_gain, vector *d_bias, vector *d_query_weight, vector *d_query_bias,
                  vector *d_key_weight, vector *d_value_weight, vector *d_value_bias) {
  EACH(r, R) {
    vector affine, d_affine = {0}, d_normalised = {0};
    EACH(i, WIDTH) affine[i] = gain[r][i] * normalised[r][i] + bias[r][i];
    memset(d_gain[r], 0, sizeof(vector));
    memset(d_bias[r], 0, sizeof(vector));
    EACH(c, COLUMNS) {
      centre(d_projection[c], d_projection[c]);
      EACH(i, WIDTH) d_projection[c][i] += d_cls[r][c] * normalised[r][i];
      EACH(i, WIDTH) d_normalised[i] += d_cls[r][c] * projection[c][i];
    }
    EACH(h, HEADS) {
      const REAL *d_row = d_projection[WIDTH + h];
      vector d_score;
      EACH(i, WIDTH) d_gain[r][i] += d_row[i] * scores[h][i];
      EACH(i, WIDTH) d_score[i] = d_row[i] * gain[r][i] / (REAL)sqrt(PER_HEAD);
      EACH(j, PER_HEAD) {
        int64_t o = h * PER_HEAD + j;
        const REAL *d_value = d_projection[j * HEADS + h];
        REAL d_query = 0, d_k = d_constant[r][o];
        EACH(i, WIDTH) d_query += d_score[i] * key_weight[o][i];
        EACH(i, WIDTH) {
          d_gain[r][i] += d_value[i] * value_weight[o][i];
          d_bias[r][i] += d_k * value_weight[o][i];
          d_affine[i] += d_query * query_weight[o][i];
          d_value_weight[o][i] = d_value[i] * gain[r][i] + d_k * bias[r][i];
          d_key_weight[o][i] = d_score[i] * query[r][o];
          d_query_weight[o][i] = d_query * affine[i];
        }
        d_query_bias[r][o] = d_query;
        d_value_bias[r][o] = d_k;
      }
    }
    REAL along = 0;
    EACH(i, WIDTH) {
      d_gain[r][i] += d_affine[i] * normalised[r][i];
      d_bias[r][i] += d_affine[i];
      d_normalised[i] += d_affine[i] * gain[r][i];
    }
    centre(d_normalised, d_normalised);
    EACH(i, WIDTH) along += d_normalised[i] * normalised[r][i];
    EACH(i, WIDTH) {
      d_token[r][i] = (d_normalised[i] - normalised[r][i] * along / WIDTH) * scale[r] + d_residual[r][i];
      d_position[r][i] = d_token[r][i];
    }
    query_weight += WIDTH, key_weight += WIDTH, value_weight += WIDTH, scores += HEADS, projection += COLUMNS;
    d_query_weight += WIDTH, d_key_weight += WIDTH, d_value_weight += WIDTH, d_projection += COLUMNS;
  }
  return 0;
}
