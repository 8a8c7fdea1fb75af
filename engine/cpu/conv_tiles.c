/*
 * Direct sums by tiles of bfloat16. What each tap sees of a stretch of target pixels (meeting.h) is gathered as it
 * is stored, two blocks of 16 channels side by side being a row of a tile: the last of an odd number stands beside
 * zeros.
 *
 * Forward and data gradient: tiles of 16 pixels times 32 channels, by the weights, give 16 pixels of 16 channels, two
 * by two at a time. Weight gradient: the depth is pixels. The target's gradient is turned, [16 channels][32 pixels],
 * and what taps see is gathered in pairs of pixels, [16 pairs][16 channels][2]. Where there are many pixels for few
 * channels, a thread does that for parts of the pixels by itself, without waiting for the others and in its own cache,
 * and the parts' sums are added in order; elsewhere there is one set of sums that threads share out among them. Which
 * of the two, and how many parts, is decided by the shape alone.
 */
#include "engine/cpu/tiles.h"

#ifdef TILES_BUILT
#include "engine/cpu/meeting.h"

#include <omp.h>

enum {
    CACHE = 512 * 1024, /* bytes for the gathered pixels */
    MOST_PIXELS = 512,  /* of a stretch */
    STEP_PIXELS = 2 * TILE_ROWS,
    PORTION = 64,           /* pixels that a thread gathers at a time for the weight gradient */
    SHARED_CACHE = 1 << 20, /* bytes for both of its factors */
    OWN_CACHE = 1 << 19,    /* likewise where threads have parts of the pixels of their own */
    PARTS = 16,             /* so many, … */
    PART_SUMS = 1 << 20,    /* … if the sums take no more bytes than this, … */
    PART_PIXELS = 1024      /* … each of at least so many */
};

bool tiles_conv_takes(const conv_shape *s) {
    return s->in_brief && s->out_brief && s->window * s->window <= MOST_TAPS && s->in_lanes == TILE_ROWS &&
           s->out_lanes == TILE_ROWS;
}

/* Gathering -------------------------------------------------------------------------------------------------------- */

/* Where pixel p of the j-th of (tap, block of channels) goes, in blocks: j/2·pair + j%2·odd + p·step, step 1 or 2. */
typedef struct places {
    brief_vec *to;
    int64_t pair, odd, step;
} places;

/* What one tap sees from `count` neighbouring targets, the first of which looks at column `col` of `row`. */
INLINE void gather_row(const lattice *f, int64_t image, int64_t row, int64_t col, int64_t count, int64_t j, int64_t at,
                       const places *places, int64_t from_step, int64_t step) {
    int64_t first, last;
    seen_by(f, row, col, count, from_step, &first, &last);
    for (int64_t k = 0; k < f->blocks; k++, j++) {
        const brief_vec *from = (const brief_vec *)f->data + ((image * f->blocks + k) * f->h + row) * f->w + col;
        brief_vec *to = places->to + j / 2 * places->pair + j % 2 * places->odd + at * step;
        for (int64_t p = 0; p < first; p++) to[p * step] = (brief_vec){0};
#pragma GCC unroll 8
        for (int64_t p = first; p < last; p++) to[p * step] = from[p * from_step];
        for (int64_t p = last; p < count; p++) to[p * step] = (brief_vec){0};
    }
}

INLINE void gather_taps(const meeting *m, spot s, int64_t count, int64_t at, const places *places, int64_t from_step,
                        int64_t step) {
    const int64_t y = s.row * from_step, x = s.col * from_step;
    for (int64_t t = 0; t < m->tap_count; t++)
        gather_row(&m->from, s.image, y + m->taps[t].dy, x + m->taps[t].dx, count, t * m->from.blocks, at, places,
                   from_step, step);
}

/* What the taps of target pixels first … first + count − 1 see. */
static void gather(const meeting *m, int64_t first, int64_t count, const places *places) {
    spot s = spot_of(m, first);
    for (int64_t p = 0; p < count;) {
        const spot from = s;
        const int64_t some = take_row(m, &s, count - p);
        if (m->from.step == 1 && places->step == 1)
            gather_taps(m, from, some, p, places, 1, 1);
        else if (m->from.step == 1)
            gather_taps(m, from, some, p, places, 1, 2);
        else
            gather_taps(m, from, some, p, places, m->from.step, places->step);
        p += some;
    }
}

/* Forward and data gradient ---------------------------------------------------------------------------------------- */

/* (tap, block of channels) in twos. */
static int64_t depth_of(const meeting *m) { return (m->tap_count * m->from.blocks + 1) / 2; }

/* The taps' weights as tiles [block of targets][depth]; `turned` for the data gradient, whose targets are x's channels.
 */
static void weights_make(const meeting *m, const real *weights, int64_t window, bool turned, void *tiles) {
    bfloat *u = tiles;
    const int64_t blocks = m->from.blocks, depth = depth_of(m), area = window * window;
    const int64_t from = blocks * TILE_ROWS, to = m->to.blocks * TILE_ROWS;
    const int64_t by_target = (turned ? 1 : from) * area, by_source = (turned ? to : 1) * area;
#pragma omp parallel for collapse(2) schedule(static) if (m->to.blocks * depth > 64)
    for (int64_t k = 0; k < m->to.blocks; k++)
        for (int64_t d = 0; d < depth; d++)
            for (int half = 0; half < 2; half++) {
                int64_t j = 2 * d + half;
                bfloat *tile = u + (k * depth + d) * TILE_SIZE + half * TILE_SIZE / 2;
                if (j >= m->tap_count * blocks) {
                    memset(tile, 0, TILE_SIZE / 2 * sizeof *tile);
                    continue;
                }
                const real *w = weights + k * TILE_ROWS * by_target + j % blocks * TILE_ROWS * by_source +
                                m->taps[j / blocks].place;
                for (int c = 0; c < TILE_ROWS; c++)
                    for (int o = 0; o < TILE_ROWS; o++)
                        tile[(c / 2 * TILE_ROWS + o) * 2 + c % 2] = bfloat_round(w[c * by_source + o * by_target]);
            }
}

/* The targets of a stretch: gathered · u (+ bias); added to what is there when `add`. */
static void multiply_stretch(const backend *b, const meeting *m, const bfloat *u, const real *bias, bool add,
                             int64_t first, int64_t count, int64_t stretch, bfloat *v, float *sums) {
    const int64_t depth = depth_of(m), blocks = m->tap_count * m->from.blocks;
    const places places = {(brief_vec *)v, 2 * stretch, 1, 2};
    gather(m, first, count, &places);
    for (int64_t p = 0; blocks % 2 && p < count; p++)
        places.to[(depth - 1) * places.pair + places.odd + p * places.step] = (brief_vec){0};
    for (int64_t block = 0; block < m->to.blocks; block += PAIR) {
        const int width = m->to.blocks - block < PAIR ? 1 : PAIR;
        tile_product product = {.a_next = TILE_SIZE,
                                .a_step = stretch * TILE_DEPTH,
                                .b = u + block * depth * TILE_SIZE,
                                .b_next = depth * TILE_SIZE,
                                .b_step = TILE_SIZE,
                                .c_down = TILE_ROWS * width * TILE_ROWS,
                                .c_right = TILE_ROWS,
                                .c_row = width * TILE_ROWS,
                                .depth = depth * TILE_DEPTH,
                                .rows = STEP_PIXELS,
                                .cols = width};
        for (int64_t p = 0; p < count; p += STEP_PIXELS) {
            product.a = v + p * TILE_DEPTH;
            product.c = sums + p * width * TILE_ROWS;
            tiles_multiply(b, &product);
        }
        for (int l = 0; l < width; l++) {
            vec plus = bias ? ((const vec *)bias)[block + l] : (vec){0};
            scatter(m, first, count, block + l, (const vec *)sums + l, width, plus, add);
        }
    }
}

static bool multiply(backend *b, const meeting *m, const void *u, const real *bias, bool add) {
    const int64_t all = m->n * m->rows * m->cols, depth = depth_of(m);
    int64_t stretch = CACHE / ((depth + 1) * TILE_DEPTH * (int64_t)sizeof(bfloat)) / STEP_PIXELS * STEP_PIXELS;
    stretch = stretch < STEP_PIXELS ? STEP_PIXELS : stretch > MOST_PIXELS ? MOST_PIXELS : stretch;
    const int64_t gathered = depth * stretch * TILE_DEPTH * (int64_t)sizeof(bfloat);
    const int64_t per_thread = gathered + stretch * PAIR * TILE_ROWS * (int64_t)sizeof(float);
    char *scratch = b->allocate(b, (size_t)(b->threads * per_thread));
    if (!scratch) return cpu_fail(b, "out of memory");
#pragma omp parallel num_threads(b->threads)
    {
        char *own = scratch + omp_get_thread_num() * per_thread;
        tiles_begin(b);
#pragma omp for schedule(static)
        for (int64_t first = 0; first < all; first += stretch) {
            int64_t count = all - first < stretch ? all - first : stretch;
            multiply_stretch(b, m, u, bias, add, first, count, stretch, (bfloat *)own, (float *)(own + gathered));
        }
        tiles_end(b);
    }
    b->release(b, scratch);
    return true;
}

static const meeting_way by_tiles = {weights_make, multiply};

bool tiles_conv_forward(backend *b, const conv_shape *s, const void *x, const real *weights, const real *bias,
                        void *y) {
    return meeting_sums(b, &by_tiles, s, x, weights, bias, y);
}

bool tiles_conv_data(backend *b, const conv_shape *s, const void *dy, const real *weights, void *dx, bool add) {
    return meeting_data(b, &by_tiles, s, dy, weights, dx, add);
}

/* Weight gradient -------------------------------------------------------------------------------------------------- */

/* The factors of a run of target pixels: what taps see in pairs [j][pixels/2][16][2], the gradient turned
 * [block][pixels/32][16][32]. */
typedef struct factors {
    uint32_t *seen, *turned;
    int64_t pixels; /* that there is room for: a multiple of PORTION */
} factors;

/* Two pixels' channels side by side. */
static inline void pair_up(const brief_vec *two, uint32_t *to) {
    const bfloat *a = (const bfloat *)two, *z = (const bfloat *)(two + 1);
    for (int c = 0; c < TILE_ROWS; c++) to[c] = a[c] | (uint32_t)z[c] << 16;
}

/* PORTION pixels from `at` on, of which the first `some` are there; the rest count as zeros. */
static void fill_portion(const meeting *m, const meeting *own, const factors *f, int64_t first, int64_t some,
                         int64_t at, brief_vec *scratch) {
    const int64_t depth = m->tap_count * m->from.blocks;
    const places places = {scratch, 2 * PORTION, PORTION, 1};
    gather(m, first, some, &places);
    for (int64_t j = 0; j < depth; j++) {
        brief_vec *seen = scratch + j * PORTION;
        for (int64_t p = some; p < PORTION; p++) seen[p] = (brief_vec){0};
        uint32_t *to = f->seen + (j * f->pixels + at) / 2 * TILE_ROWS;
        for (int64_t p = 0; p < PORTION; p += 2) pair_up(seen + p, to + p / 2 * TILE_ROWS);
    }
    gather(own, first, some, &places);
    for (int64_t k = 0; k < m->to.blocks; k++) {
        brief_vec *gradient = scratch + k * PORTION;
        for (int64_t p = some; p < PORTION; p++) gradient[p] = (brief_vec){0};
        for (int64_t p = 0; p < PORTION; p += TILE_DEPTH) {
            uint32_t pairs[TILE_ROWS * TILE_ROWS] __attribute__((aligned(64)));
            for (int i = 0; i < TILE_ROWS; i++) pair_up(gradient + p + 2 * i, pairs + i * TILE_ROWS);
            tile_turn(pairs, f->turned + (k * f->pixels + at + p) / 2 * TILE_ROWS);
        }
    }
}

/* Pairs of blocks of the target times pairs of (tap, block of channels). */
static int64_t task_count(const meeting *m) {
    return (m->to.blocks + PAIR - 1) / PAIR * ((m->tap_count * m->from.blocks + 1) / 2);
}

/* sums[block of out][j][16 of out][16 of in] (+)= the turned gradient · what taps see, for a pair of each. */
static void add_products(const backend *b, const factors *f, int64_t depth, int64_t blocks, int64_t count, int64_t task,
                         bool fresh, float *sums) {
    const int64_t pairs = (depth + 1) / 2, block = task / pairs * PAIR, j = task % pairs * 2;
    const int64_t tile = TILE_ROWS * TILE_ROWS, run = f->pixels * TILE_ROWS; /* numbers of one block */
    tile_product product = {.a = (const bfloat *)f->turned + block * run,
                            .a_next = run,
                            .a_step = TILE_SIZE,
                            .b = (const bfloat *)f->seen + j * run,
                            .b_next = run,
                            .b_step = TILE_SIZE,
                            .c = sums + (block * depth + j) * tile,
                            .c_down = depth * tile,
                            .c_right = tile,
                            .c_row = TILE_ROWS,
                            .depth = count,
                            .rows = (blocks - block < PAIR ? 1 : PAIR) * TILE_ROWS,
                            .cols = depth - j < 2 ? 1 : 2,
                            .add = !fresh};
    tiles_multiply(b, &product);
}

/* The sums over pixels first … last − 1, by one thread. */
static void add_part(const backend *b, const meeting *m, const meeting *own, const factors *f, int64_t first,
                     int64_t last, brief_vec *scratch, float *sums) {
    const int64_t depth = m->tap_count * m->from.blocks, tasks = task_count(m);
    for (int64_t at = first; at < last; at += f->pixels) {
        const int64_t count = last - at < f->pixels ? last - at : f->pixels;
        for (int64_t p = 0; p < count; p += PORTION)
            fill_portion(m, own, f, at + p, count - p < PORTION ? count - p : PORTION, p, scratch);
        for (int64_t task = 0; task < tasks; task++)
            add_products(b, f, depth, m->to.blocks, count, task, at == first, sums);
    }
}

/* The sums over all pixels, by all threads of a team. */
static void add_together(const backend *b, const meeting *m, const meeting *own, const factors *f, int64_t all,
                         brief_vec *scratch, float *sums) {
    const int64_t depth = m->tap_count * m->from.blocks, tasks = task_count(m);
    for (int64_t first = 0; first < all; first += f->pixels) {
        const int64_t count = all - first < f->pixels ? all - first : f->pixels;
#pragma omp for schedule(static)
        for (int64_t p = 0; p < count; p += PORTION)
            fill_portion(m, own, f, first + p, count - p < PORTION ? count - p : PORTION, p, scratch);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < tasks; task++)
            add_products(b, f, depth, m->to.blocks, count, task, first == 0, sums);
    }
}

/* sums of parts of the pixels, `size` apart, to weights (out, in, window, window). */
static void spread(const conv_shape *s, const float *sums, int64_t parts, int64_t size, real *dw, bool add) {
    const int64_t area = s->window * s->window, blocks = s->in / TILE_ROWS, depth = area * blocks;
#pragma omp parallel for schedule(static) if (area * s->in * s->out * parts > 32768)
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t c = 0; c < s->in; c++)
            for (int64_t t = 0; t < area; t++) {
                int64_t tile = o / TILE_ROWS * depth + t * blocks + c / TILE_ROWS;
                const float *from = sums + (tile * TILE_ROWS + o % TILE_ROWS) * TILE_ROWS + c % TILE_ROWS;
                real *to = dw + (o * s->in + c) * area + t, sum = add ? *to : 0;
                for (int64_t k = 0; k < parts; k++) sum += from[k * size];
                *to = sum;
            }
}

bool tiles_conv_weights(backend *b, const conv_shape *s, const void *x, const void *dy, real *dw, bool add) {
    tap taps[MOST_TAPS];
    const meeting m = meeting_forward(s, x, dy, taps), own = meeting_of_targets(&m);
    const int64_t all = m.n * m.rows * m.cols, depth = m.tap_count * m.from.blocks, blocks = m.to.blocks;
    const int64_t size = blocks * depth * TILE_ROWS * TILE_ROWS, most = depth > blocks ? depth : blocks;
    const bool apart = all >= PARTS * PART_PIXELS && size * (int64_t)sizeof(float) <= PART_SUMS;
    const int64_t parts = apart ? PARTS : 1, part = (all + parts - 1) / parts, teams = apart ? b->threads : 1;
    int64_t pixels = (apart ? OWN_CACHE : SHARED_CACHE) / ((depth + blocks) * TILE_ROWS * (int64_t)sizeof(bfloat));
    pixels = pixels < 4 * PORTION ? 4 * PORTION : pixels / PORTION * PORTION;
    if (pixels > part) pixels = (part + PORTION - 1) / PORTION * PORTION;
    const int64_t seen = depth * pixels / 2 * TILE_ROWS, both = seen + blocks * pixels / 2 * TILE_ROWS;
    float *sums = b->allocate(b, (size_t)(parts * size) * sizeof *sums);
    uint32_t *memory = b->allocate(b, (size_t)(teams * both) * sizeof *memory);
    brief_vec *scratch = b->allocate(b, (size_t)(b->threads * most * PORTION) * sizeof *scratch);
    bool ok = (sums && memory && scratch) || cpu_fail(b, "out of memory");
#pragma omp parallel num_threads(b->threads) if (ok)
    if (ok) {
        const int64_t me = omp_get_thread_num();
        uint32_t *room = memory + (apart ? me * both : 0);
        const factors f = {room, room + seen, pixels};
        brief_vec *gathered = scratch + me * most * PORTION;
        tiles_begin(b);
        if (apart) {
#pragma omp for schedule(static)
            for (int64_t k = 0; k < parts; k++)
                add_part(b, &m, &own, &f, k * part, (k + 1) * part < all ? (k + 1) * part : all, gathered,
                         sums + k * size);
        } else
            add_together(b, &m, &own, &f, all, gathered, sums);
        tiles_end(b);
    }
    if (ok) spread(s, sums, parts, size, dw, add);
    b->release(b, scratch);
    b->release(b, memory);
    b->release(b, sums);
    return ok;
}

#endif
