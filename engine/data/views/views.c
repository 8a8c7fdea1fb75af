/*
 * Boxes are drawn in the photo's full coordinates. Reading a JPEG's entropy code is most of the work and must be done
 * from the top for any part of it, so there is one decoding a sample, of the box that spans all views' crops; under
 * data.decode scaled at the largest shrink that leaves none of them smaller than its view.
 */
#include "engine/data/views/views.h"

#include "engine/data/images.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct view_maker {
    const view_plan *plan;
    int size, local_size;
    augmenter *global, *local; /* local: NULL when there are no local views */
    uint8_t *rgb;              /* one view */
    photo_part part;
};

view_maker *view_maker_create(const view_plan *plan, error *err) {
    view_maker *m = calloc(1, sizeof *m);
    if (!m) {
        error_memory(err, sizeof *m, "a maker of views");
        return NULL;
    }
    m->plan = plan, m->size = dataset_size(plan->set);
    m->local_size = plan->augment.local_crops ? (int)plan->augment.local_size : 0;
    int most = m->size > m->local_size ? m->size : m->local_size, source = dataset_has_pixels(plan->set) ? m->size : 0;
    size_t bytes = (size_t)most * (size_t)most * 3;
    resize_kernel kernel = (resize_kernel)plan->augment.interpolation;
    if (!(m->rgb = malloc(bytes)))
        error_memory(err, bytes, "a view");
    else if ((m->global = augmenter_create(source, m->size, kernel, err)) &&
             (!m->local_size || (m->local = augmenter_create(source, m->local_size, kernel, err))))
        return m;
    view_maker_destroy(m);
    return NULL;
}

void view_maker_destroy(view_maker *m) {
    if (!m) return;
    augmenter_destroy(m->global);
    augmenter_destroy(m->local);
    photo_part_free(&m->part);
    free(m->rgb);
    free(m);
}

static augment_draw draw_view(const view_maker *m, uint32_t epoch, uint32_t sample, int view, int width, int height) {
    rng random = rng_stream(m->plan->seed, RNG_AUGMENT, epoch, sample, (uint32_t)view);
    return augment_sample(&m->plan->augment, width, height, view, &random);
}

/* View v of the plan is a local one from plan->views on, and then counts from AUGMENT_VIEWS on for what is drawn. */
static bool is_local(const view_maker *m, int v) { return v >= m->plan->views; }
static int view_number(const view_maker *m, int v) { return is_local(m, v) ? AUGMENT_VIEWS + v - m->plan->views : v; }

static bool make(view_maker *m, int v, const augment_draw *draw, const uint8_t *source, size_t stride, float *out,
                 error *err) {
    int side = is_local(m, v) ? m->local_size : m->size;
    const dataset *set = m->plan->set;
    if (!augment_image(is_local(m, v) ? m->local : m->global, &m->plan->augment, draw, source, stride, m->rgb, err))
        return false;
    augment_normalize(m->rgb, side * side, dataset_mean(set), dataset_std(set), out);
    return true;
}

static resize_box span(resize_box a, resize_box b) {
    int right = a.left + a.width > b.left + b.width ? a.left + a.width : b.left + b.width;
    int bottom = a.top + a.height > b.top + b.height ? a.top + a.height : b.top + b.height;
    int left = a.left < b.left ? a.left : b.left, top = a.top < b.top ? a.top : b.top;
    return (resize_box){left, top, right - left, bottom - top};
}

/* A length or place `at` of a side of `full` pixels, in the side's shrunk pixels. */
static int shrink_to(int at, int shrink, int least, int most) {
    int there = (2 * at + shrink) / (2 * shrink);
    return there < least ? least : there > most ? most : there;
}

static void shrink_box(augment_draw *d, const photo *p, int shrink) {
    int width = photo_shrunk(p->width, shrink), height = photo_shrunk(p->height, shrink);
    d->width = shrink_to(d->width, shrink, 1, width), d->height = shrink_to(d->height, shrink, 1, height);
    d->left = shrink_to(d->left, shrink, 0, width - d->width),
    d->top = shrink_to(d->top, shrink, 0, height - d->height);
}

static bool run_photo(view_maker *m, uint32_t epoch, uint32_t sample, float *const out[], error *err) {
    augment_draw draws[VIEWS_MOST];
    int shrink = PHOTO_MAX_SHRINK, views = m->plan->views + (int)m->plan->augment.local_crops;
    resize_box all = {0};
    photo p;
    if (!dataset_photo(m->plan->set, m->plan->split, sample, &p, err)) return false;
    for (int v = 0; v < views; v++) {
        draws[v] = draw_view(m, epoch, sample, view_number(m, v), p.width, p.height);
        int most = photo_shrink(&p, draws[v].width, draws[v].height, is_local(m, v) ? m->local_size : m->size);
        shrink = most < shrink ? most : shrink;
    }
    if (!dataset_decodes_scaled(m->plan->set)) shrink = 1;
    for (int v = 0; v < views; v++) {
        if (shrink > 1) shrink_box(&draws[v], &p, shrink);
        resize_box box = {draws[v].left, draws[v].top, draws[v].width, draws[v].height};
        all = v ? span(all, box) : box;
    }
    if (!photo_decode(&p, shrink, all, &m->part, err)) return error_prefix(err, "image %u", sample);
    for (int v = 0; v < views; v++) {
        draws[v].left -= all.left, draws[v].top -= all.top;
        if (!make(m, v, &draws[v], m->part.corner, m->part.stride, out[v], err)) return false;
    }
    return true;
}

bool view_maker_run(view_maker *m, uint32_t epoch, uint32_t sample, float *const out[], error *err) {
    const view_plan *plan = m->plan;
    if (!dataset_has_pixels(plan->set)) return run_photo(m, epoch, sample, out, err);
    const uint8_t *image = dataset_image(plan->set, plan->split, sample);
    for (int v = 0; v < plan->views + (int)plan->augment.local_crops; v++) {
        augment_draw draw = draw_view(m, epoch, sample, view_number(m, v), m->size, m->size);
        if (!make(m, v, &draw, image, 3 * (size_t)m->size, out[v], err)) return false;
    }
    return true;
}

/* ---- Plain views ---- */

bool view_plain(plain_maker *m, const dataset *set, dataset_split split, uint32_t sample, uint8_t *rgb, error *err) {
    int side = dataset_size(set), shortest = (int)lround(side * (8 / 7.0));
    photo p;
    if (dataset_has_pixels(set)) {
        memcpy(rgb, dataset_image(set, split, sample), 3 * (size_t)side * (size_t)side);
        return true;
    }
    if (!m->resizer && !(m->resizer = resizer_create(RESIZE_BICUBIC, err))) return false;
    if (!dataset_photo(set, split, sample, &p, err)) return false;
    int shrink = dataset_decodes_scaled(set) ? photo_shrink(&p, p.width, p.height, shortest) : 1;
    resize_box whole = {0, 0, photo_shrunk(p.width, shrink), photo_shrunk(p.height, shrink)};
    if (!photo_decode(&p, shrink, whole, &m->part, err)) return error_prefix(err, "image %u", sample);
    image decoded = {whole.width, whole.height, (uint8_t *)m->part.corner};
    return image_fit(m->resizer, &decoded, shortest, side, rgb, err);
}

void plain_maker_free(plain_maker *m) {
    resizer_destroy(m->resizer);
    photo_part_free(&m->part);
    *m = (plain_maker){0};
}
