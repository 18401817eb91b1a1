/* A user folded into ALS: the sums and the solution that `Als.fold_in` describes. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Solves `left` x = `right` in place by Cholesky: `left` (rank, rank) is symmetric, and its lower
 * triangle is read and replaced. `column` has room for rank. Returns 0 where a pivot is not above
 * zero. */
static int solve(double *restrict left, double *restrict right, double *restrict column,
                 ptrdiff_t rank)
{
    for (ptrdiff_t k = 0; k < rank; k++) {
        const double pivot = left[k * rank + k];
        if (!(pivot > 0))
            return 0;
        const double root = sqrt(pivot);
        left[k * rank + k] = root;
        for (ptrdiff_t i = k + 1; i < rank; i++)
            column[i] = left[i * rank + k] /= root;
        for (ptrdiff_t i = k + 1; i < rank; i++)
            for (ptrdiff_t j = k + 1; j <= i; j++)
                left[i * rank + j] -= column[i] * column[j];
    }
    for (ptrdiff_t i = 0; i < rank; i++) {
        for (ptrdiff_t j = 0; j < i; j++)
            right[i] -= left[i * rank + j] * right[j];
        right[i] /= left[i * rank + i];
    }
    for (ptrdiff_t i = rank - 1; i >= 0; i--) {
        right[i] /= left[i * rank + i];
        for (ptrdiff_t j = 0; j < i; j++)
            right[j] -= left[i * rank + j] * right[i];
    }
    return 1;
}

/* `items` (count,) are rows of `factors`, `ratings` what is thought of them. Fills `user` (rank,);
 * `left` (rank, rank) and `right` (3, rank) are room to work in. Returns 1, 0 for somebody about
 * whom nothing is known or liked, -1 where the equations have no one solution. */
int fold_in(const float *factors, const double *gram, ptrdiff_t rank, const int32_t *items,
            const float *ratings, ptrdiff_t count, double alpha, double regularisation, int scaled,
            double *left, double *right, float *user)
{
    double *column = right + rank, *wide = right + 2 * rank;
    ptrdiff_t liked = 0;
    for (ptrdiff_t i = 0; i < rank * rank; i++)
        left[i] = gram[i];
    for (ptrdiff_t i = 0; i < rank; i++)
        right[i] = 0;
    for (ptrdiff_t n = 0; n < count; n++) {
        const float *row = factors + items[n] * rank;
        int trained = 0;
        for (ptrdiff_t i = 0; i < rank; i++) {
            wide[i] = row[i];
            trained |= row[i] != 0.0f;
        }
        if (!trained || ratings[n] == 0.0f)
            continue;
        const double confidence = alpha * fabs((double)ratings[n]);
        for (ptrdiff_t i = 0; i < rank; i++)
            for (ptrdiff_t j = 0; j <= i; j++)
                left[i * rank + j] += confidence * wide[i] * wide[j];
        if (ratings[n] > 0.0f) {
            liked++;
            for (ptrdiff_t i = 0; i < rank; i++)
                right[i] += (1.0 + confidence) * wide[i];
        }
    }
    if (!liked)
        return 0;
    const float ridge = (float)(regularisation * (scaled ? (double)liked : 1.0));
    for (ptrdiff_t i = 0; i < rank; i++)
        left[i * rank + i] += ridge;
    if (!solve(left, right, column, rank))
        return -1;
    for (ptrdiff_t i = 0; i < rank; i++)
        user[i] = (float)right[i];
    return 1;
}
