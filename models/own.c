/* What somebody did by last night, and what came since: the sums that `own.py` describes. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define DAY_MS 86400000.0

/* As `Owned` says, ascending by item. */
struct owned {
    int32_t *item;
    float *strength;
    int32_t *bought;
    int64_t *first, *last;
    int32_t *turn;
    int64_t count;
};

/* One interaction; then one visit: what was done with an item in one session. */
struct event {
    int64_t time;
    int32_t session, item, liked, refused;
};

static int by_time(const void *one, const void *other)
{
    const struct event *a = one, *b = other;
    return (a->time > b->time) - (a->time < b->time);
}

static int by_visit(const void *one, const void *other)
{
    const struct event *a = one, *b = other;
    if (a->session != b->session)
        return (a->session > b->session) - (a->session < b->session);
    return (a->item > b->item) - (a->item < b->item);
}

static int by_item(const void *one, const void *other)
{
    const struct event *a = one, *b = other;
    if (a->item != b->item)
        return (a->item > b->item) - (a->item < b->item);
    return (a->session > b->session) - (a->session < b->session);
}

/* Makes visits of events: their `time` is from now on that of the session's beginning. Returns how
 * many there are. */
static int64_t visits(struct event *events, int64_t count, int64_t gap)
{
    int64_t kept = 0, begun = 0, before = 0;
    int32_t session = 0;
    qsort(events, count, sizeof *events, by_time);
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || events[i].time - before > gap) {
            session++;
            begun = events[i].time;
        }
        before = events[i].time;
        events[i].time = begun;
        events[i].session = session;
    }
    qsort(events, count, sizeof *events, by_visit);
    for (int64_t i = 0; i < count; i++) {
        struct event *last = &events[kept - 1];
        if (kept && last->session == events[i].session && last->item == events[i].item) {
            last->liked = last->liked > events[i].liked ? last->liked : events[i].liked;
            last->refused = last->refused < events[i].refused ? last->refused : events[i].refused;
        } else {
            events[kept++] = events[i];
        }
    }
    return kept;
}

/* `rows` (count, 3) are the item, time and weight of interactions that `known` does not hold yet;
 * `purchase` is the weight of one purchase, `never` the time of what was not bought. Fills
 * `owned`, which has room for all, and `turns`; returns how many items there are. */
ptrdiff_t add(const struct owned *known, int32_t known_turns, const int64_t *rows, int64_t count,
              int64_t now, double half_life_days, int64_t gap, int32_t purchase, int64_t never,
              const struct owned *owned, int32_t *turns)
{
    struct event *events = malloc((count + 1) * sizeof *events);
    int32_t *shopping = calloc(count + 2, sizeof *shopping);
    for (int64_t i = 0; i < count; i++) {
        const int32_t weight = (int32_t)rows[3 * i + 2];
        events[i] = (struct event){rows[3 * i + 1], 0, (int32_t)rows[3 * i],
                                   weight > 0 ? weight : 0, weight < 0 ? weight : 0};
    }
    const int64_t fresh = visits(events, count, gap);
    /* The number of a session among those in which something was bought. */
    for (int64_t i = 0; i < fresh; i++)
        if (events[i].liked >= purchase)
            shopping[events[i].session] = 1;
    for (int64_t session = 1; session <= count; session++)
        shopping[session] += shopping[session - 1];
    *turns = known_turns + shopping[count];
    qsort(events, fresh, sizeof *events, by_item);

    int64_t old = 0, at = 0, size = 0;
    while (old < known->count || at < fresh) {
        const int is_fresh = at < fresh && (old == known->count || events[at].item <= known->item[old]);
        const int32_t item = is_fresh ? events[at].item : known->item[old];
        double sum = 0;
        int32_t bought = 0, turn = 0;
        int64_t first = never, last = 0;
        for (; at < fresh && events[at].item == item; at++) {
            const struct event *visit = &events[at];
            const double age = now > visit->time ? (double)(now - visit->time) : 0.0;
            const float left = (float)exp2(-(age / DAY_MS) / half_life_days);
            sum += (float)((visit->liked + visit->refused) / (double)purchase) * left;
            if (visit->liked < purchase)
                continue;
            bought++;
            turn = shopping[visit->session];
            first = visit->time < first ? visit->time : first;
            last = visit->time > last ? visit->time : last;
        }
        float strength = (float)sum;
        turn += turn ? known_turns : 0;
        if (old < known->count && known->item[old] == item) {
            strength += known->strength[old];
            bought += known->bought[old];
            first = known->first[old] < first ? known->first[old] : first;
            last = known->last[old] > last ? known->last[old] : last;
            turn = known->turn[old] > turn ? known->turn[old] : turn;
            old++;
        }
        owned->item[size] = item;
        owned->strength[size] = strength;
        owned->bought[size] = bought;
        owned->first[size] = first;
        owned->last[size] = last;
        owned->turn[size++] = turn;
    }
    free(events);
    free(shopping);
    return size;
}
