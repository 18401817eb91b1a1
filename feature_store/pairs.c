/* The columns of `pairs.py`, which says what they mean: one person's last interactions, each
 * candidate. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define DAY_MS 86400000.0
/* The memory of so many later candidates is asked for: what is known of items lies far apart. */
#define AHEAD 16

/* As `pairs.PAIR` names them. */
enum { COUNT, SINCE, BETWEEN, DUE, IN_SESSION, CATEGORY, BRAND, PRICE, COLUMNS };

/* What happened to one item of the last interactions: where it was met first, the newest, and
 * last; how often, in how many visits, and how often in the session that goes on. */
struct met {
    int32_t item, first, last, count, visits, in_session;
};

static int by_item(const void *one, const void *other)
{
    const struct met *a = one, *b = other;
    if (a->item != b->item)
        return (a->item > b->item) - (a->item < b->item);
    return (a->first > b->first) - (a->first < b->first);
}

static int by_price(const void *one, const void *other)
{
    const float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static const struct met *find(const struct met *met, ptrdiff_t count, int32_t item)
{
    ptrdiff_t low = 0, high = count;
    while (low < high) {
        const ptrdiff_t middle = (low + high) / 2;
        if (met[middle].item < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && met[low].item == item ? &met[low] : NULL;
}

/* Puts the interactions with one item together; `visit` numbers the visits, newest first. */
static ptrdiff_t gather(struct met *met, ptrdiff_t seen, const int32_t *visit)
{
    ptrdiff_t items = 0;
    qsort(met, seen, sizeof *met, by_item);
    for (ptrdiff_t i = 0; i < seen; i++) {
        struct met *last = &met[items - 1];
        if (!items || last->item != met[i].item) {
            met[items] = met[i];
            met[items++].visits = 1;
            continue;
        }
        last->visits += visit[met[i].first] != visit[last->last];
        last->count++;
        last->in_session += met[i].in_session;
        last->last = met[i].first;
    }
    return items;
}

/* The share of what was seen that has a code, 0 for an unknown one. */
static float share(const int32_t *codes, ptrdiff_t seen, int32_t wanted)
{
    int32_t same = 0;
    for (ptrdiff_t i = 0; i < seen; i++)
        same += codes[i] == wanted;
    return wanted < 0 ? 0.0f : (float)(same / (double)seen);
}

/* The median of the prices above zero, NaN without any; `prices` are sorted. */
static float usual(float *prices, ptrdiff_t seen)
{
    ptrdiff_t known = 0;
    for (ptrdiff_t i = 0; i < seen; i++)
        if (prices[i] > 0)
            prices[known++] = prices[i];
    if (!known)
        return NAN;
    qsort(prices, known, sizeof *prices, by_price);
    return (prices[(known - 1) / 2] + prices[known / 2]) / 2;
}

/* `positions` and `times` are those of `recents` interactions, newest first, -1 for an item that
 * is not known. Writes COLUMNS values for each of the candidates, `stride` apart. */
void pairs(const int32_t *positions, const int64_t *times, ptrdiff_t recents,
           const int32_t *category, const int32_t *brand, const float *price,
           const int32_t *candidates, ptrdiff_t count, int64_t now, int64_t gap, float *out,
           ptrdiff_t stride)
{
    struct met *met = malloc((recents + 1) * sizeof *met);
    int32_t *work = malloc(3 * (recents + 1) * sizeof *work);
    int32_t *visit = work, *categories = work + recents + 1, *brands = work + 2 * (recents + 1);
    int64_t *known_times = malloc((recents + 1) * sizeof *known_times), previous = now;
    float *prices = malloc((recents + 1) * sizeof *prices);
    ptrdiff_t seen = 0;
    int going_on = 1;
    for (ptrdiff_t i = 0; i < recents; i++) {
        going_on = going_on && previous - times[i] <= gap;
        previous = times[i];
        const int32_t item = positions[i];
        if (item < 0)
            continue;
        known_times[seen] = times[i];
        visit[seen] = seen ? visit[seen - 1] + (known_times[seen - 1] - times[i] > gap) : 0;
        categories[seen] = category[item];
        brands[seen] = brand[item];
        prices[seen] = price[item];
        met[seen] = (struct met){item, (int32_t)seen, (int32_t)seen, 1, 1, going_on};
        seen++;
    }
    const ptrdiff_t items = gather(met, seen, visit);
    const float price_of_old = usual(prices, seen);
    for (ptrdiff_t c = 0; c < count; c++, out += stride) {
        if (c + AHEAD < count) {
            const int32_t later = candidates[c + AHEAD];
            __builtin_prefetch(&category[later]);
            __builtin_prefetch(&brand[later]);
            __builtin_prefetch(&price[later]);
        }
        const int32_t item = candidates[c];
        const struct met *of = find(met, items, item);
        const double newest = of ? (double)known_times[of->first] : NAN;
        const double oldest = of ? (double)known_times[of->last] : NAN;
        const double since = ((double)now - newest) / DAY_MS;
        const double between =
            of && of->visits > 1 ? (newest - oldest) / DAY_MS / (of->visits - 1) : NAN;
        out[COUNT] = of ? (float)of->count : 0.0f;
        out[SINCE] = (float)since;
        out[BETWEEN] = (float)between;
        out[DUE] = (float)(since / between);
        out[IN_SESSION] = of ? (float)of->in_session : 0.0f;
        out[CATEGORY] = seen ? share(categories, seen, category[item]) : 0.0f;
        out[BRAND] = seen ? share(brands, seen, brand[item]) : 0.0f;
        out[PRICE] = price[item] > 0 ? logf(price[item] / price_of_old) : NAN;
    }
    free(met);
    free(work);
    free(known_times);
    free(prices);
}
