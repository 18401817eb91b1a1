/* What the sources offer a person: the loops of `retrieval.py`, which says what they mean.
 *
 * Sums run in double precision and in the order of the history, so that they are NumPy's.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "best.h"
#include "table.h"

/* As `models/sources.py` numbers them. */
enum { ALS, OWN, COVISITATION, LINEAR, CONTENT, SHELF, TRENDING, POPULAR, SOURCES };

struct neighbours {
    const int32_t *items;
    const float *weights;
    int64_t width;
};

/* The arrays of one bundle. */
struct sources {
    struct neighbours covisitation, content;
    const int32_t *linear_items, *linear_near;
    const float *linear_weights;
    int64_t linear_rows, linear_width;
    const int32_t *category, *shelf_items;
    const int64_t *shelf_first;
    const float *shelf_shares;
    int64_t categories;
};

/* Somebody's items, ascending; `damped` is the logarithm of one more than each strength. */
struct person {
    const int32_t *items;
    const float *strengths, *damped;
    int64_t count;
};

/* What one source offers, best first: `far` at most. */
struct offers {
    int32_t *items;
    float *scores;
    int64_t count, far;
};

/* The best of a heap, as offers of the items at these places; without `items`, places are items. */
static void take(struct best *best, const int32_t *items, struct offers *offers)
{
    sort(best);
    offers->count = best->size;
    for (ptrdiff_t i = 0; i < best->size; i++) {
        const uint32_t place = place_of(best->heap[i]);
        offers->items[i] = items ? items[place] : (int32_t)place;
        offers->scores[i] = score_of(best->heap[i]);
    }
}

static void by_neighbours(const struct neighbours *table, const struct person *person,
                          int64_t seeds, uint64_t *heap, struct offers *offers)
{
    struct best strongest = {heap, 0, seeds};
    for (int64_t i = 0; i < person->count; i++)
        offer(&strongest, person->strengths[i], (uint32_t)i);
    sort(&strongest);
    struct table totals = table_of(strongest.size * table->width);
    for (ptrdiff_t s = 0; s < strongest.size; s++) {
        const uint32_t place = place_of(heap[s]);
        const int64_t row = person->items[place] * table->width;
        for (int64_t k = 0; k < table->width; k++) {
            const int32_t near = table->items[row + k];
            if (near >= 0)
                *sum_of(&totals, near) += person->strengths[place] * table->weights[row + k];
        }
    }
    struct best best = {heap, 0, offers->far};
    for (uint32_t at = 0; at <= totals.mask; at++)
        if (totals.keys[at] != NO_KEY)
            offer(&best, (float)totals.sums[at], (uint32_t)totals.keys[at]);
    take(&best, NULL, offers);
    drop(&totals);
}

/* Where an item stands among ascending ones, or -1. */
static int64_t find(const int32_t *items, int64_t count, int32_t item)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (items[middle] < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && items[low] == item ? low : -1;
}

static void by_linear(const struct sources *sources, const struct person *person, uint64_t *heap,
                      struct offers *offers)
{
    const int64_t width = sources->linear_width;
    double *totals = calloc(sources->linear_rows + 1, sizeof *totals);
    for (int64_t i = 0; i < person->count; i++) {
        if (!(person->strengths[i] > 0))
            continue;
        const int64_t row =
            find(sources->linear_items, sources->linear_rows, person->items[i]) * width;
        for (int64_t k = 0; row >= 0 && k < width; k++)
            totals[sources->linear_near[row + k]] +=
                sources->linear_weights[row + k] * person->damped[i];
    }
    struct best best = {heap, 0, offers->far};
    for (int64_t row = 0; row < sources->linear_rows; row++)
        offer(&best, (float)totals[row], (uint32_t)row);
    take(&best, sources->linear_items, offers);
    free(totals);
}

static void by_shelf(const struct sources *sources, const struct person *person, int64_t most,
                     uint64_t *heap, struct offers *offers)
{
    double *sums = calloc(sources->categories + 1, sizeof *sums), whole = 0.0;
    for (int64_t i = 0; i < person->count; i++) {
        const int32_t category = sources->category[person->items[i]];
        if (category >= 0 && person->strengths[i] > 0)
            sums[category] += person->strengths[i];
    }
    struct best strongest = {heap, 0, most};
    for (int64_t category = 0; category < sources->categories; category++)
        whole += (float)sums[category];
    for (int64_t category = 0; category < sources->categories; category++)
        if (sums[category] > 0)
            offer(&strongest, (float)((float)sums[category] / whole), (uint32_t)category);
    sort(&strongest);
    struct best best = {heap + most, 0, offers->far};
    uint32_t place = 0; /* on the shelves, one after the other */
    for (ptrdiff_t s = 0; s < strongest.size; s++) {
        const uint32_t category = place_of(heap[s]);
        for (int64_t at = sources->shelf_first[category]; at < sources->shelf_first[category + 1];
             at++)
            offer(&best, score_of(heap[s]) * sources->shelf_shares[at], place++);
    }
    sort(&best);
    offers->count = best.size;
    for (ptrdiff_t i = 0; i < best.size; i++) {
        int64_t left = place_of(best.heap[i]);
        ptrdiff_t s = 0;
        for (;; s++) {
            const int64_t *first = sources->shelf_first + place_of(heap[s]);
            if (left < first[1] - first[0]) {
                offers->items[i] = sources->shelf_items[first[0] + left];
                break;
            }
            left -= first[1] - first[0];
        }
        offers->scores[i] = score_of(best.heap[i]);
    }
    free(sums);
}

static int ascending(const void *one, const void *other)
{
    const int32_t a = *(const int32_t *)one, b = *(const int32_t *)other;
    return (a > b) - (a < b);
}

/* Every item that is offered, ascending, and what each source scored it, NaN where it did not:
 * of each source its offers up to the `caps`-th that is not the person's own. Of these, the
 * strongest are offered by `OWN`, and those that are too weak for that by nobody.
 *
 * Source s may offer from first[s] to first[s + 1] in `offered` and `worth`; ALS, TRENDING and
 * POPULAR have done so, counts[s] each. `heap` has room for `kinds`, and for all that one source
 * may hold; `positions` and `scores` for all of them. Returns how many items there are. */
ptrdiff_t retrieve(const struct sources *sources, const struct person *person, int32_t *offered,
                   float *worth, const int64_t *first, const int64_t *counts, const int64_t *caps,
                   int64_t seeds, int64_t kinds, uint64_t *heap, int32_t *positions, float *scores)
{
    struct offers offers[SOURCES];
    for (int s = 0; s < SOURCES; s++)
        offers[s] = (struct offers){offered + first[s], worth + first[s], counts[s],
                                    first[s + 1] - first[s]};
    by_neighbours(&sources->covisitation, person, seeds, heap, &offers[COVISITATION]);
    by_neighbours(&sources->content, person, seeds, heap, &offers[CONTENT]);
    by_linear(sources, person, heap, &offers[LINEAR]);
    by_shelf(sources, person, kinds, heap, &offers[SHELF]);

    struct best strongest = {heap, 0, caps[OWN]};
    char *weak = calloc(person->count + 1, 1);
    for (int64_t i = 0; i < person->count; i++) {
        weak[i] = person->strengths[i] > 0;
        offer(&strongest, person->strengths[i], (uint32_t)i);
    }
    take(&strongest, NULL, &offers[OWN]);
    for (int64_t i = 0; i < offers[OWN].count; i++) {
        const int32_t place = offers[OWN].items[i];
        weak[place] = 0;
        offers[OWN].items[i] = person->items[place];
    }

    int64_t most = 1, count = 0;
    for (int s = 0; s < SOURCES; s++) {
        int64_t new = 0, kept = 0;
        for (int64_t i = 0; i < offers[s].count; i++) {
            const int64_t mine = find(person->items, person->count, offers[s].items[i]);
            if (mine < 0 && ++new > caps[s])
                break;
            if (mine >= 0 && weak[mine])
                continue;
            offers[s].items[kept] = offers[s].items[i];
            offers[s].scores[kept++] = offers[s].scores[i];
        }
        offers[s].count = kept;
        most += kept;
    }
    struct table places = table_of(most);
    for (int s = 0; s < SOURCES; s++)
        for (int64_t i = 0; i < offers[s].count; i++) {
            const uint32_t at = slot(&places, offers[s].items[i]);
            if (places.keys[at] == NO_KEY) {
                places.keys[at] = offers[s].items[i];
                positions[count++] = offers[s].items[i];
            }
        }
    qsort(positions, count, sizeof *positions, ascending);
    for (int64_t i = 0; i < count; i++)
        places.sums[slot(&places, positions[i])] = (double)i;
    for (int64_t i = 0; i < count * SOURCES; i++)
        scores[i] = NAN;
    for (int s = 0; s < SOURCES; s++)
        for (int64_t i = 0; i < offers[s].count; i++) {
            const int64_t row = (int64_t)places.sums[slot(&places, offers[s].items[i])];
            scores[row * SOURCES + s] = offers[s].scores[i];
        }
    drop(&places);
    free(weak);
    return count;
}
