/*
 * The memory pool. A training step asks for the same sizes in the same order every time, so a freed block is handed out
 * again to the next request that it fits without much waste, and after the first steps the system is not asked again.
 * Large blocks are aligned to huge pages, which spares the convolutions most of their TLB misses.
 */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEADER = 64, HUGE_PAGE = 2 << 20 };

typedef struct block {
    size_t size; /* of the memory behind the header */
    struct block *next;
    void *base; /* what free() takes */
} block;

struct pool {
    block *idle;
    backend_memory memory;
    uint64_t in_use, most; /* most: what the machine has */
};

struct pool *pool_create(void) {
    struct pool *p = calloc(1, sizeof *p);
    if (p) p->most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGE_SIZE);
    return p;
}

void pool_destroy(struct pool *p) {
    if (!p) return;
    for (block *b = p->idle, *next; b; b = next) {
        next = b->next;
        free(b->base);
    }
    free(p);
}

/* What a new block for `bytes` measures: large ones are rounded up to whole huge pages, header included. */
typedef struct extent {
    size_t align, lead, total;
} extent;

static extent extent_of(size_t bytes) {
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : HEADER, lead = align > HEADER ? 4096 : HEADER;
    return (extent){align, lead, (bytes + lead + align - 1) / align * align};
}

static block *take_idle(struct pool *p, size_t bytes) {
    extent own = extent_of(bytes);
    size_t most = own.total - own.lead + bytes / 4; /* a block a quarter too large is better than a new one */
    block **best = NULL;
    for (block **at = &p->idle; *at; at = &(*at)->next) {
        size_t size = (*at)->size;
        if (size >= bytes && size <= most && (!best || size < (*best)->size)) best = at;
    }
    if (!best) return NULL;
    block *found = *best;
    *best = found->next;
    return found;
}

static block *take_new(struct pool *p, size_t bytes) {
    extent e = extent_of(bytes);
    void *base = NULL;
    /* Linux promises memory that it does not have and kills whoever touches it: better to say so while we can. */
    if (e.total < bytes || e.total > p->most - p->memory.bytes_held) return NULL;
    if (posix_memalign(&base, e.align, e.total) != 0) return NULL;
    if (e.align == HUGE_PAGE) madvise(base, e.total, MADV_HUGEPAGE);
    block *b = (block *)((char *)base + e.lead - HEADER);
    *b = (block){.size = e.total - e.lead, .base = base};
    p->memory.allocations++;
    p->memory.bytes_held += e.total;
    return b;
}

void *pool_allocate(struct pool *p, size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    block *b = take_idle(p, bytes);
    if (!b) b = take_new(p, bytes);
    if (!b) return NULL;
    p->in_use += b->size;
    if (p->in_use > p->memory.bytes_peak) p->memory.bytes_peak = p->in_use;
    return (char *)b + HEADER;
}

void pool_release(struct pool *p, void *memory) {
    if (!memory) return;
    block *b = (block *)((char *)memory - HEADER);
    p->in_use -= b->size;
    b->next = p->idle;
    p->idle = b;
}

backend_memory pool_statistics(const struct pool *p) { return p->memory; }
