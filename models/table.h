/* A sum for each of some keys, which are not negative. */
#ifndef TABLE_H
#define TABLE_H
#include <stdint.h>
#include <stdlib.h>

#define NO_KEY (-1)

struct table {
    int32_t *keys;
    double *sums;
    uint32_t mask;
};

/* Room for so many different keys; `drop` it. */
static inline struct table table_of(int64_t most)
{
    uint32_t size = 16;
    while (size < 2 * most)
        size *= 2;
    struct table table = {malloc(size * sizeof(int32_t)), calloc(size, sizeof(double)), size - 1};
    for (uint32_t at = 0; at < size; at++)
        table.keys[at] = NO_KEY;
    return table;
}

static inline void drop(struct table *table)
{
    free(table->keys);
    free(table->sums);
}

/* Where a key is, or would be. */
static inline uint32_t slot(const struct table *table, int32_t key)
{
    uint32_t at = (uint32_t)key * 2654435769u;
    at = (at ^ at >> 15) & table->mask;
    while (table->keys[at] != key && table->keys[at] != NO_KEY)
        at = (at + 1) & table->mask;
    return at;
}

/* The sum of a key, 0 for a new one. */
static inline double *sum_of(struct table *table, int32_t key)
{
    const uint32_t at = slot(table, key);
    table->keys[at] = key;
    return &table->sums[at];
}
#endif
