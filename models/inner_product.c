/* The rows with the largest inner products with a vector, from 8-bit codes in order of their norms.
 *
 * No product is larger than the product of the norms (Cauchy, Schwarz), so the scan ends at the
 * first block of rows that are too short to enter the best that it has.
 */
#include <stddef.h>
#include <stdint.h>

#define BLOCK 64

/* Replaces the least of a heap. */
static void replace_least(float *score, int32_t *place, ptrdiff_t size, float new_score,
                          int32_t new_place)
{
    ptrdiff_t at = 0;
    for (ptrdiff_t child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && score[child + 1] < score[child])
            child++;
        if (new_score <= score[child])
            break;
        score[at] = score[child];
        place[at] = place[child];
        at = child;
    }
    score[at] = new_score;
    place[at] = new_place;
}

/* `codes` is (rows, rank), `norms` falls; a row's product with the vector is about its scale times
 * that of the codes, and at most its norm times `reach`. Fills `score` and `place` with the `keep`
 * best products above zero, in no order, place -1 for none. Returns how many rows were looked at. */
ptrdiff_t best(const int8_t *restrict codes, const float *restrict scales,
               const float *restrict norms, ptrdiff_t rows, ptrdiff_t rank,
               const int16_t *restrict vector, float reach, ptrdiff_t keep, float *restrict score,
               int32_t *restrict place)
{
    ptrdiff_t from = 0;
    for (ptrdiff_t k = 0; k < keep; k++) {
        score[k] = 0.0f;
        place[k] = -1;
    }
    for (; from < rows && norms[from] * reach > score[0]; from += BLOCK) {
        const ptrdiff_t here = rows - from < BLOCK ? rows - from : BLOCK;
        float product[BLOCK];
        for (ptrdiff_t r = 0; r < here; r++) {
            const int8_t *row = codes + (from + r) * rank;
            int32_t sum = 0;
            for (ptrdiff_t d = 0; d < rank; d++)
                sum += (int32_t)row[d] * (int32_t)vector[d];
            product[r] = scales[from + r] * (float)sum;
        }
        for (ptrdiff_t r = 0; r < here; r++)
            if (product[r] > score[0])
                replace_least(score, place, keep, product[r], (int32_t)(from + r));
    }
    return from < rows ? from : rows;
}
