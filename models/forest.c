/* Regression trees over float columns, many rows at a time, without a branch on the data.
 *
 * Every leaf of a tree is a bit, in order from left to right. A row starts with all of them; each
 * node that sends it to the right takes the leaves on its left away. The lowest bit left is the
 * row's leaf: QuickScorer, Lucchese et al., SIGIR 2015. The inner loops run over rows, so that the
 * compiler makes vector instructions of them.
 */
#include <stddef.h>
#include <stdint.h>

#define ROWS 64

/* A mask as wide as the floats it goes with fits the vector instructions best. */
#define MASK uint32_t
#define LOWEST __builtin_ctz
#define NAME forest32
#include "forest.h"
#undef MASK
#undef LOWEST
#undef NAME

#define MASK uint64_t
#define LOWEST __builtin_ctzll
#define NAME forest64
#include "forest.h"
