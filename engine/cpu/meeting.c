#include "engine/cpu/cpu.h"

#ifndef MEWS_DOUBLE
#include "engine/cpu/meeting.h"

static lattice all_of(const void *data, bool brief, int64_t n, int64_t channels, int64_t h, int64_t w) {
    const bool stream = beyond_caches(n * h * w * channels, brief);
    return (lattice){(void *)data, brief, stream, channels / BLOCK_LANES, h, w, 1, 0, 0};
}

static lattice input_side(const conv_shape *s, const void *x) {
    return all_of(x, s->in_brief, s->n, s->in, s->h, s->w);
}

static lattice output_side(const conv_shape *s, const void *y) {
    return all_of(y, s->out_brief, s->n, s->out, s->out_h, s->out_w);
}

meeting meeting_forward(const conv_shape *s, const void *x, const void *y, tap *taps) {
    meeting m = {s->n, s->out_h, s->out_w, s->window * s->window, input_side(s, x), output_side(s, y), taps};
    m.from.step = s->stride;
    for (int64_t i = 0; i < m.tap_count; i++)
        taps[i] = (tap){i, i / s->window - s->padding, i % s->window - s->padding};
    return m;
}

/* Inputs of remainders (y, x) modulo the stride, and the outputs that they take part in. */
static meeting backward_meeting(const conv_shape *s, const void *dy, const void *dx, int64_t y, int64_t x, tap *taps) {
    meeting m = {s->n,
                 (s->h - y + s->stride - 1) / s->stride,
                 (s->w - x + s->stride - 1) / s->stride,
                 0,
                 output_side(s, dy),
                 input_side(s, dx),
                 taps};
    m.to.step = s->stride, m.to.y = y, m.to.x = x;
    for (int64_t i = 0; i < s->window * s->window; i++) {
        int64_t down = y + s->padding - i / s->window, right = x + s->padding - i % s->window;
        if (down % s->stride == 0 && right % s->stride == 0)
            taps[m.tap_count++] = (tap){i, down / s->stride, right / s->stride};
    }
    return m;
}

meeting meeting_of_targets(const meeting *m) {
    static const tap itself = {0, 0, 0};
    return (meeting){m->n, m->rows, m->cols, 1, m->to, m->to, &itself};
}

static void *room_for_weights(backend *b, const conv_shape *s) {
    void *room = b->allocate(b, (size_t)(s->window * s->window * s->in * s->out) * sizeof(real));
    if (!room) cpu_fail(b, "out of memory");
    return room;
}

bool meeting_sums(backend *b, const meeting_way *way, const conv_shape *s, const void *x, const real *weights,
                  const real *bias, void *y) {
    tap taps[MOST_TAPS];
    const meeting m = meeting_forward(s, x, y, taps);
    void *u = room_for_weights(b, s);
    if (u) way->layout(&m, weights, s->window, false, u);
    bool ok = u && way->multiply(b, &m, u, bias, false);
    b->release(b, u);
    return ok;
}

bool meeting_data(backend *b, const meeting_way *way, const conv_shape *s, const void *dy, const real *weights,
                  void *dx, bool add) {
    tap taps[MOST_TAPS];
    void *u = room_for_weights(b, s);
    bool ok = u != NULL;
    for (int64_t i = 0; ok && i < s->stride * s->stride; i++) {
        const meeting m = backward_meeting(s, dy, dx, i / s->stride, i % s->stride, taps);
        if (add && m.tap_count == 0) continue;
        way->layout(&m, weights, s->window, true, u);
        ok = way->multiply(b, &m, u, NULL, add);
    }
    b->release(b, u);
    return ok;
}

#endif
