/*
 * The memory pool: one stretch of addresses as long as the machine's memory, of which pages become real when they are
 * first touched. Blocks lie in it one behind the other, each behind a header with its size; a request takes the first
 * gap that is long enough and leaves the rest, a freed block joins the gaps beside it. A training step asks for the
 * same sizes in the same order every time, so after the first steps the stretch no longer grows. Huge pages spare the
 * convolutions most of their TLB misses.
 */
#include "engine/cpu/cpu.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Small values are aligned to a cache line, large ones to a page: kernels walk several of them side by side, and where
 * one lies a few lines beyond another (modulo a page) the processor takes its loads for loads of what was just stored.
 */
enum { HEADER = 64, PAGE = 4096, LARGE = 8 * PAGE };

/* The header of a block, whether in use or a gap; a gap knows the next one, further up. */
typedef struct block {
    size_t size; /* header included */
    struct block *next;
} block;

struct pool {
    char *base;
    size_t reserved, top; /* bytes; nothing lies above `top` */
    block *gaps;          /* by address */
    size_t in_use;
    backend_memory memory;
};

struct pool *pool_create(void) {
    struct pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->reserved = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGE_SIZE);
    const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    /* A limit on addresses (ulimit -v) or a kernel that promises no more than it has may allow less. What others
     * allocate has to fit beside the pool: a third of what is left is theirs. */
    const size_t wanted = p->reserved;
    while ((p->base = mmap(NULL, p->reserved, PROT_READ | PROT_WRITE, how, -1, 0)) == MAP_FAILED && p->reserved > PAGE)
        p->reserved = p->reserved / PAGE * 3 / 4 * PAGE;
    if (p->base != MAP_FAILED && p->reserved < wanted) {
        size_t kept = p->reserved / PAGE * 2 / 3 * PAGE;
        munmap(p->base + kept, p->reserved - kept);
        p->reserved = kept;
    }
    if (p->base == MAP_FAILED) {
        free(p);
        return NULL;
    }
    madvise(p->base, p->reserved, MADV_HUGEPAGE);
    return p;
}

void pool_destroy(struct pool *p) {
    if (!p) return;
    munmap(p->base, p->reserved);
    free(p);
}

/* Cuts what is beyond `size` off a block as a gap; returns the gap, or NULL where nothing is left. */
static block *cut(block *b, size_t size) {
    if (b->size == size) return NULL;
    block *rest = (block *)((char *)b + size);
    rest->size = b->size - size;
    b->size = size;
    return rest;
}

/* Bytes from `at` to where the header of a large block may stand, its values on a page's first byte. */
static size_t lead(const struct pool *p, const void *at, size_t size) {
    size_t offset = (size_t)((const char *)at - p->base);
    return size < LARGE ? 0 : (offset + HEADER + PAGE - 1) / PAGE * PAGE - HEADER - offset;
}

static block *take_gap(struct pool *p, size_t size) {
    for (block **at = &p->gaps; *at; at = &(*at)->next) {
        block *b = *at;
        size_t skip = lead(p, b, size);
        if (b->size < skip + size) continue;
        if (skip) { /* what is skipped stays a gap */
            block *behind = cut(b, skip);
            behind->next = b->next;
            at = &b->next;
            b = *at = behind;
        }
        block *rest = cut(b, size), *next = b->next;
        if (rest) rest->next = next;
        *at = rest ? rest : next;
        return b;
    }
    return NULL;
}

/*
 * From above `top`, beginning with the gap below it if there is one. Linux promises memory that it does not have and
 * kills whoever touches it: better to say so first.
 */
static block *grow(struct pool *p, size_t size) {
    block **end = &p->gaps; /* where the list ends, but for a gap that touches `top` */
    while (*end && (char *)*end + (*end)->size != p->base + p->top) end = &(*end)->next;
    size_t start = p->top - (*end ? (*end)->size : 0), skip = lead(p, p->base + start, size);
    if (skip > p->reserved - start || size > p->reserved - start - skip) return NULL;
    *end = skip ? (block *)(p->base + start) : NULL;
    if (skip) **end = (block){.size = skip};
    start += skip;
    block *b = (block *)(p->base + start);
    b->size = size;
    p->top = start + size;
    p->memory.allocations++;
    p->memory.bytes_held = p->top;
    return b;
}

void *pool_allocate(struct pool *p, size_t bytes) {
    if (bytes > p->reserved) return NULL;
    size_t size = (bytes + HEADER - 1) / HEADER * HEADER + HEADER;
    if (size >= LARGE) size = (size + PAGE - 1) / PAGE * PAGE;
    block *b = take_gap(p, size);
    if (!b) b = grow(p, size);
    if (!b) return NULL;
    p->in_use += b->size;
    if (p->in_use > p->memory.bytes_peak) p->memory.bytes_peak = p->in_use;
    return (char *)b + HEADER;
}

/* Joins `b` with the block behind it where they touch. */
static void join(block *b) {
    if (!b->next || (char *)b + b->size != (char *)b->next) return;
    b->size += b->next->size;
    b->next = b->next->next;
}

void pool_release(struct pool *p, void *memory) {
    if (!memory) return;
    block *b = (block *)((char *)memory - HEADER), *before = NULL;
    p->in_use -= b->size;
    for (block *gap = p->gaps; gap && gap < b; gap = gap->next) before = gap;
    b->next = before ? before->next : p->gaps;
    if (before)
        before->next = b;
    else
        p->gaps = b;
    join(b);
    if (before) join(before);
}

backend_memory pool_statistics(const struct pool *p) { return p->memory; }
