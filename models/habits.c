/* The columns of `habits.py`, which says what they mean: a whole history, each candidate. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "table.h"

#define DAY_MS 86400000.0
/* The memory of so many later candidates is asked for: what is known of items lies far apart. */
#define AHEAD 16

/* As `habits.HABIT` names them. */
enum {
    STRENGTH, STRENGTH_SHARE, VISITS, TURN_SHARE, DAYS_SINCE, DAYS_BETWEEN, DUE, TURNS_SINCE,
    DUE_AS_OTHERS, REPEAT_SHARE, REPEAT_DAYS, CATEGORY_STRENGTH, CATEGORY_VISITS,
    CATEGORY_DAYS_SINCE, CATEGORY_ITEMS, SHARE_OF_CATEGORY, BRAND_STRENGTH, TURNS,
    ITEMS_PER_TURN, REPEATED
};

/* As `Owned` says, ascending by item. */
struct owned {
    const int32_t *item;
    const float *strength;
    const int32_t *bought;
    const int64_t *first, *last;
    const int32_t *turn;
    int64_t count;
};

/* A person's items of one category, or of one brand. */
struct kind {
    double liked, bought, items;
    int64_t last;
};

static int64_t find(const struct owned *owned, int32_t item)
{
    int64_t low = 0, high = owned->count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (owned->item[middle] < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < owned->count && owned->item[low] == item ? low : -1;
}

/* Adds up the items of each known code; `place` says which of `kinds` is a code's. */
static void add_up(const struct owned *owned, const int32_t *codes, struct table *place,
                   struct kind *kinds)
{
    int32_t found = 0;
    for (int64_t i = 0; i < owned->count; i++) {
        const int32_t code = codes[owned->item[i]];
        if (code < 0)
            continue;
        const uint32_t at = slot(place, code);
        if (place->keys[at] == NO_KEY) {
            place->keys[at] = code;
            place->sums[at] = found;
            kinds[found++] = (struct kind){0};
        }
        struct kind *kind = &kinds[(int32_t)place->sums[at]];
        kind->liked += owned->strength[i] > 0 ? owned->strength[i] : 0.0f;
        kind->bought += owned->bought[i];
        kind->items += 1;
        kind->last = owned->last[i] > kind->last ? owned->last[i] : kind->last;
    }
}

static struct kind kind_of(const struct table *place, const struct kind *kinds, int32_t code)
{
    const uint32_t at = code < 0 ? 0 : slot(place, code);
    return code < 0 || place->keys[at] == NO_KEY ? (struct kind){0}
                                                 : kinds[(int32_t)place->sums[at]];
}

/* `share` and `days` (items,) are what `repeats.py` learned. Writes the columns of each of the
 * candidates, `stride` apart. */
void habits(const struct owned *owned, int32_t turns, const float *share, const float *days,
            const int32_t *category, const int32_t *brand, const int32_t *candidates,
            ptrdiff_t count, int64_t now, float *out, ptrdiff_t stride)
{
    struct table categories = table_of(owned->count), brands = table_of(owned->count);
    struct kind *kinds = malloc(2 * (owned->count + 1) * sizeof *kinds);
    struct kind *of_brands = kinds + owned->count + 1;
    add_up(owned, category, &categories, kinds);
    add_up(owned, brand, &brands, of_brands);
    double total = 0, lines = 0;
    int64_t items = 0, again = 0;
    for (int64_t i = 0; i < owned->count; i++) {
        total += owned->strength[i] > 0 ? owned->strength[i] : 0.0f;
        lines += owned->bought[i];
        items += owned->bought[i] > 0;
        again += owned->bought[i] > 1;
    }
    total = total > 1e-9 ? total : 1e-9;
    const double visits = turns > 1 ? turns : 1;
    for (ptrdiff_t c = 0; c < count; c++, out += stride) {
        if (c + AHEAD < count) {
            const int32_t later = candidates[c + AHEAD];
            __builtin_prefetch(&share[later]);
            __builtin_prefetch(&days[later]);
            __builtin_prefetch(&category[later]);
            __builtin_prefetch(&brand[later]);
        }
        const int32_t item = candidates[c];
        const int64_t mine = find(owned, item);
        const double strength = mine < 0 ? 0.0 : owned->strength[mine];
        const double bought = mine < 0 ? 0.0 : owned->bought[mine];
        const struct kind kind = kind_of(&categories, kinds, category[item]);
        double since = NAN, between = NAN, turns_since = NAN;
        if (bought > 0) {
            since = (double)(now - owned->last[mine]) / DAY_MS;
            turns_since = turns - owned->turn[mine];
        }
        if (bought > 1)
            between = (double)(owned->last[mine] - owned->first[mine]) / DAY_MS / (bought - 1);
        out[STRENGTH] = (float)strength;
        out[STRENGTH_SHARE] = (float)(strength / total);
        out[VISITS] = (float)bought;
        out[TURN_SHARE] = (float)(bought / visits);
        out[DAYS_SINCE] = (float)since;
        out[DAYS_BETWEEN] = (float)between;
        /* Neither is a plain fmax: what is not known stays so. */
        out[DUE] = (float)(since / (between < 0.5 ? 0.5 : between));
        out[TURNS_SINCE] = (float)turns_since;
        out[DUE_AS_OTHERS] = (float)(since / (days[item] < 0.5f ? 0.5f : days[item]));
        out[REPEAT_SHARE] = share[item];
        out[REPEAT_DAYS] = days[item];
        out[CATEGORY_STRENGTH] = (float)(kind.liked / total);
        out[CATEGORY_VISITS] = (float)kind.bought;
        out[CATEGORY_DAYS_SINCE] = kind.last > 0 ? (float)((double)(now - kind.last) / DAY_MS) : NAN;
        out[CATEGORY_ITEMS] = (float)kind.items;
        out[SHARE_OF_CATEGORY] = (float)(strength / (kind.liked > 1e-9 ? kind.liked : 1e-9));
        out[BRAND_STRENGTH] =
            (float)(kind_of(&brands, of_brands, brand[item]).liked / total);
        out[TURNS] = (float)turns;
        out[ITEMS_PER_TURN] = items ? (float)(lines / visits) : NAN;
        out[REPEATED] = items ? (float)((double)again / (double)items) : NAN;
    }
    drop(&categories);
    drop(&brands);
    free(kinds);
}
