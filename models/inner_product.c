/* The rows with the largest inner products with a vector, from 8-bit codes in order of their norms.
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

/* The products of a block's rows with a vector. Codes lie in pairs of dimensions, and of each pair
 * row by row: one instruction multiplies and adds the pairs of eight rows. */
static void products(const int8_t *codes, ptrdiff_t pairs, const int16_t *vector, int32_t *product)
{
#ifdef __AVX2__
    __m256i sum[BLOCK / 8] = {0};
    for (ptrdiff_t p = 0; p < pairs; p++, codes += 2 * BLOCK) {
        int32_t two;
        memcpy(&two, vector + 2 * p, sizeof two);
        const __m256i of_vector = _mm256_set1_epi32(two);
        for (int k = 0; k < BLOCK / 8; k++) {
            const __m128i narrow = _mm_loadu_si128((const __m128i *)(codes + 16 * k));
            const __m256i product_of_pairs =
                _mm256_madd_epi16(_mm256_cvtepi8_epi16(narrow), of_vector);
            sum[k] = _mm256_add_epi32(sum[k], product_of_pairs);
        }
    }
    memcpy(product, sum, sizeof sum);
#else
    memset(product, 0, BLOCK * sizeof *product);
    for (ptrdiff_t p = 0; p < pairs; p++, codes += 2 * BLOCK)
        for (int r = 0; r < BLOCK; r++)
            product[r] += codes[2 * r] * vector[2 * p] + codes[2 * r + 1] * vector[2 * p + 1];
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
 * scale times that of the codes, and at most its norm times `reach`. `heap` has room for `keep`
 * rows, which the codes choose. Fills `items` and `scores` with the `cap` best of them above zero,
 * best first, by the products of `factors` with `wide`; returns how many there are. */
ptrdiff_t best(const int8_t *codes, const float *scales, const float *norms, const int32_t *order,
               const float *factors, ptrdiff_t rows, ptrdiff_t rank, const int16_t *vector,
               const float *wide, float reach, ptrdiff_t keep, uint64_t *heap, ptrdiff_t cap,
               int32_t *items, float *scores)
{
    const ptrdiff_t pairs = (rank + 1) / 2;
    struct best chosen = {heap, 0, keep}, kept = {heap, 0, cap};
    for (ptrdiff_t from = 0; from < rows; from += BLOCK) {
        if (norms[from] * reach <= worst(&chosen))
            break;
        const ptrdiff_t here = rows - from < BLOCK ? rows - from : BLOCK;
        int32_t product[BLOCK];
        products(codes + from * 2 * pairs, pairs, vector, product);
        for (ptrdiff_t r = 0; r < here; r++)
            offer(&chosen, scales[from + r] * (float)product[r], (uint32_t)(from + r));
    }
    /* Scoring in place: row i is read before anything is written behind it. */
    for (ptrdiff_t i = 0; i < chosen.size; i++) {
        const int32_t item = order[place_of(heap[i])];
        offer(&kept, exact(factors + item * rank, wide, rank), (uint32_t)item);
    }
    sort(&kept);
    for (ptrdiff_t i = 0; i < kept.size; i++) {
        items[i] = (int32_t)place_of(heap[i]);
        scores[i] = score_of(heap[i]);
    }
    return kept.size;
}
