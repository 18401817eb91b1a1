/* The kernel of `forest.c` for trees with at most as many leaves as a MASK has bits; LOWEST counts
 * the zeros below the lowest bit that is set. */
#undef ALL
#define ALL ((MASK)~(MASK)0)

/* `x` is (rows, columns); `turned` has room for columns x ROWS; `out` for rows.
 * Tree t has the nodes first[t] .. first[t + 1] and the leaf values from first_leaf[t]. */
void NAME(const float *x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t trees,
            const int32_t *first, const int32_t *first_leaf, const int32_t *column,
            const float *threshold, const uint8_t *nan_goes_left, const MASK *if_right,
            const double *leaf, float *restrict turned, double *restrict out)
{
    for (ptrdiff_t from = 0; from < rows; from += ROWS) {
        const ptrdiff_t here = rows - from < ROWS ? rows - from : ROWS;
        double sum[ROWS] = {0};
        for (ptrdiff_t r = 0; r < ROWS; r++)
            for (ptrdiff_t c = 0; c < columns; c++)
                turned[c * ROWS + r] = r < here ? x[(from + r) * columns + c] : 0.0f;
        for (ptrdiff_t t = 0; t < trees; t++) {
            MASK left[ROWS];
            for (int r = 0; r < ROWS; r++)
                left[r] = ALL;
            for (int32_t node = first[t]; node < first[t + 1]; node++) {
                const float *value = turned + (ptrdiff_t)column[node] * ROWS;
                const float limit = threshold[node];
                const MASK right = if_right[node];
                if (nan_goes_left[node])
                    for (int r = 0; r < ROWS; r++)
                        left[r] &= value[r] > limit ? right : ALL;
                else
                    for (int r = 0; r < ROWS; r++)
                        left[r] &= value[r] <= limit ? ALL : right;
            }
            for (int r = 0; r < ROWS; r++)
                sum[r] += leaf[first_leaf[t] + LOWEST(left[r])];
        }
        for (ptrdiff_t r = 0; r < here; r++)
            out[from + r] = sum[r];
    }
}
