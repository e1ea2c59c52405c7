/* Dropout masks of attention weights, drawn as they are needed and again on the way back: they are never stored, since a
   run has n * (T + 1) * H of them.

   The generator is xoshiro128++ (Blackman and Vigna 2021), eight of them beside each other in a vector, with states by
   splitmix64 from the step's seed, as its authors advise. A mask takes 16 bits. */
enum { STREAMS = 8, MASKS = 2 * STREAMS }; /* masks of H weights that are drawn at once: H times what the streams give */

typedef uint32_t words __attribute__((vector_size(STREAMS * sizeof(uint32_t))));
typedef REAL reals __attribute__((vector_size(STREAMS * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

typedef struct {
  words state[4];
  uint32_t dropped; /* of 2^16 draws */
  REAL scale;       /* of what is kept */
} dropout;

static dropout seeded(uint64_t seed, double rate) {
  dropout d = {.dropped = (uint32_t)lround(rate * 65536), .scale = (REAL)(1 / (1 - rate))};
  EACH(i, 4) EACH(k, STREAMS) {
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    d.state[i][k] = (uint32_t)((z ^ z >> 31) >> 32);
  }
  return d;
}

#define ROTATED(x, by) ((x) << (by) | (x) >> (32 - (by)))

/* 0 where a draw is below the dropped, else the scale. */
INLINE reals kept(words draws, const dropout *d) {
  return __builtin_convertvector((draws >= d->dropped) & 1, reals) * d->scale;
}

APART void draw_masks(dropout *d, heads *keep) {
  words a = d->state[0], b = d->state[1], c = d->state[2], e = d->state[3];
  reals *masks = (reals *)keep;
  EACH(h, HEADS) {
    words sum = a + e, word = ROTATED(sum, 7) + a, shifted = b << 9;
    c ^= a, e ^= b, b ^= c, a ^= e, c ^= shifted, e = ROTATED(e, 11);
    masks[2 * h] = kept(word >> 16, d), masks[2 * h + 1] = kept(word & 0xffff, d);
  }
  d->state[0] = a, d->state[1] = b, d->state[2] = c, d->state[3] = e;
}
