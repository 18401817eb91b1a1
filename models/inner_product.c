/* The rows with the largest inner products with a vector, from 4-bit codes in order of their norms.
 *
 * No product is larger than the product of the norms (Cauchy, Schwarz), so the scan ends at the
 * first block of rows that are too short to enter the best that it has. What the codes chose is
 * scored by the factors themselves.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "best.h"

#define BLOCK 64
#define LANES 8
/* The memory of so many later rows is asked for: factors lie far apart. */
#define AHEAD 8
/* A code of zero; and after so many times four dimensions a sum of 16 bits might not hold more. */
#define ZERO 8
#define HELD 4

/* The products of a block's rows with a vector, by their codes as they are, ZERO and all. Four
 * dimensions take 128 bytes: byte j is of row j / 2, its lower half of dimension j % 2, its upper
 * half of dimension 2 + j % 2. So one instruction multiplies and adds two dimensions of 16 rows. */
static void products(const uint8_t *codes, ptrdiff_t fours, const int8_t *vector, int32_t *product)
{
    memset(product, 0, BLOCK * sizeof *product);
#ifdef __AVX2__
    const __m256i lower = _mm256_set1_epi8(15);
    for (ptrdiff_t from = 0; from < fours; from += HELD) {
        const ptrdiff_t to = from + HELD < fours ? from + HELD : fours;
        for (int k = 0; k < BLOCK / 16; k++) {
            __m256i sum = _mm256_setzero_si256();
            for (ptrdiff_t f = from; f < to; f++) {
                int16_t two[2];
                memcpy(two, vector + 4 * f, sizeof two);
                const __m256i both =
                    _mm256_loadu_si256((const __m256i *)(codes + f * 2 * BLOCK + 32 * k));
                const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), lower);
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_and_si256(both, lower),
                                                                 _mm256_set1_epi16(two[0])));
                sum = _mm256_add_epi16(sum,
                                       _mm256_maddubs_epi16(high, _mm256_set1_epi16(two[1])));
            }
            __m256i *out = (__m256i *)(product + 16 * k);
            const __m256i left = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum));
            const __m256i right = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sum, 1));
            _mm256_storeu_si256(out, _mm256_add_epi32(_mm256_loadu_si256(out), left));
            _mm256_storeu_si256(out + 1, _mm256_add_epi32(_mm256_loadu_si256(out + 1), right));
        }
    }
#else
    for (ptrdiff_t f = 0; f < fours; f++, codes += 2 * BLOCK, vector += 4)
        for (int j = 0; j < 2 * BLOCK; j++)
            product[j / 2] += (codes[j] & 15) * vector[j % 2] + (codes[j] >> 4) * vector[2 + j % 2];
#endif
}

/* In an order that lets a compiler use vectors, and always the same one. */
static float exact(const float *one, const float *other, ptrdiff_t rank)
{
    float part[LANES] = {0}, sum = 0.0f;
    ptrdiff_t d = 0;
    for (; d + LANES <= rank; d += LANES)
        for (int lane = 0; lane < LANES; lane++)
            part[lane] += one[d + lane] * other[d + lane];
    for (; d < rank; d++)
        sum += one[d] * other[d];
    for (int lane = 0; lane < LANES; lane++)
        sum += part[lane];
    return sum;
}

/* `codes` are blocks of BLOCK rows, `norms` falls; a row's product with the vector is about its
 * scale times that of the codes, and at most its norm times `reach`. `vector` has `fours` times
 * four dimensions. `heap` has room for `keep` rows, which the codes choose. Fills `items` and
 * `scores` with the `cap` best of them above zero, best first, by the products of `factors` with
 * `wide`; returns how many there are. */
ptrdiff_t best(const uint8_t *codes, const float *scales, const float *norms, const int32_t *order,
               const float *factors, ptrdiff_t rows, ptrdiff_t rank, const int8_t *vector,
               ptrdiff_t fours, const float *wide, float reach, ptrdiff_t keep, uint64_t *heap,
               ptrdiff_t cap, int32_t *items, float *scores)
{
    struct best chosen = {heap, 0, keep}, kept = {heap, 0, cap};
    int32_t zero = 0;
    for (ptrdiff_t d = 0; d < 4 * fours; d++)
        zero += ZERO * vector[d];
    for (ptrdiff_t from = 0; from < rows; from += BLOCK) {
        if (norms[from] * reach <= worst(&chosen))
            break;
        const ptrdiff_t here = rows - from < BLOCK ? rows - from : BLOCK;
        int32_t product[BLOCK];
        products(codes + from * 2 * fours, fours, vector, product);
        float score[BLOCK];
        for (ptrdiff_t r = 0; r < here; r++)
            score[r] = scales[from + r] * (float)(product[r] - zero);
        /* Hardly any gets in: a branch that is foreseen. */
        for (ptrdiff_t r = 0; r < here; r++)
            if (score[r] > worst(&chosen))
                offer(&chosen, score[r], (uint32_t)(from + r));
    }
    for (ptrdiff_t i = 0; i < chosen.size; i++)
        __builtin_prefetch(order + place_of(heap[i]));
    /* Scoring in place: row i is read before anything is written behind it. */
    for (ptrdiff_t i = 0; i < chosen.size; i++) {
        const int32_t item = order[place_of(heap[i])];
        if (i + AHEAD < chosen.size) {
            const float *later = factors + order[place_of(heap[i + AHEAD])] * rank;
            for (ptrdiff_t d = 0; d < rank; d += 16)
                __builtin_prefetch(later + d);
        }
        offer(&kept, exact(factors + item * rank, wide, rank), (uint32_t)item);
    }
    sort(&kept);
    for (ptrdiff_t i = 0; i < kept.size; i++) {
        items[i] = (int32_t)place_of(heap[i]);
        scores[i] = score_of(heap[i]);
    }
    return kept.size;
}
