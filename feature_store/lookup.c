/* Rows of a large table, far apart in memory, side by side. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* So many rows are on their way while one is copied, each in lines of so many bytes. */
#define AHEAD 16
#define LINE 64

/* `rows` has `width` values each; out of them goes `places[i]` to `out`, `stride` values apart. */
void gather(const float *rows, ptrdiff_t width, const int32_t *places, ptrdiff_t count, float *out,
            ptrdiff_t stride)
{
    const size_t bytes = (size_t)width * sizeof *rows;
    for (ptrdiff_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            const char *next = (const char *)(rows + places[i + AHEAD] * width);
            for (size_t at = 0; at < bytes + LINE; at += LINE)
                __builtin_prefetch(next + at);
        }
        memcpy(out + i * stride, rows + places[i] * width, bytes);
    }
}
