/* The best few of many scores above zero, best first, of equal ones the first by place: `topk.py`.
 *
 * A score and its place are one number, larger where it is better: floats above zero are ordered
 * as their bits are.
 */
#ifndef BEST_H
#define BEST_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A heap with the worst on top. */
struct best {
    uint64_t *heap;
    ptrdiff_t size, cap;
};

static inline uint64_t ranked(float score, uint32_t place)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return (uint64_t)bits << 32 | (uint32_t)~place;
}

static inline float score_of(uint64_t ranked)
{
    const uint32_t bits = (uint32_t)(ranked >> 32);
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

static inline uint32_t place_of(uint64_t ranked)
{
    return ~(uint32_t)ranked;
}

/* Puts a new one where the top was, in a heap of so many. */
static inline void sink(uint64_t *heap, ptrdiff_t size, uint64_t fresh)
{
    ptrdiff_t at = 0;
    for (ptrdiff_t child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && heap[child + 1] < heap[child])
            child++;
        if (fresh <= heap[child])
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = fresh;
}

/* What a score must exceed to get in. */
static inline float worst(const struct best *best)
{
    return best->size < best->cap || !best->cap ? 0.0f : score_of(best->heap[0]);
}

static inline void offer(struct best *best, float score, uint32_t place)
{
    if (!(score > 0.0f) || !best->cap)
        return;
    const uint64_t fresh = ranked(score, place);
    uint64_t *heap = best->heap;
    if (best->size == best->cap) {
        if (fresh > heap[0])
            sink(heap, best->size, fresh);
        return;
    }
    ptrdiff_t at = best->size++;
    for (; at > 0 && heap[(at - 1) / 2] > fresh; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = fresh;
}

/* Best first. */
static inline void sort(struct best *best)
{
    for (ptrdiff_t end = best->size - 1; end > 0; end--) {
        const uint64_t last = best->heap[end];
        best->heap[end] = best->heap[0];
        sink(best->heap, end, last);
    }
}
#endif
