/*
 * Which kernel each convolution was computed by: one entry a shape, kept while the backend lives. A slow kernel is no
 * failure and so would go unseen; tests ask here, and so may a user.
 */
#include "engine/cpu/convolution.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct note {
    conv_shape shape;
    const char *kernels[CONV_PASSES]; /* NULL where that pass has not run */
    struct note *next;
} note;

struct conv_notes {
    note *first;
};

struct conv_notes *conv_notes_create(void) {
    return calloc(1, sizeof(struct conv_notes));
}

void conv_notes_destroy(struct conv_notes *notes) {
    if (!notes) return;
    for (note *n = notes->first, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    free(notes);
}

void conv_note(backend *b, const conv_shape *s, conv_pass pass, const char *kernel) {
    struct conv_notes *notes = ((cpu_context *)b->context)->notes;
    note *n = notes->first;
    while (n && memcmp(&n->shape, s, sizeof *s) != 0) n = n->next;
    if (!n) {
        if (!(n = calloc(1, sizeof *n))) return; /* it is a note, no more */
        n->shape = *s;
        n->next = notes->first;
        notes->first = n;
    }
    n->kernels[pass] = kernel;
}

void conv_notes_visit(const backend *b, void (*visit)(void *context, const char *convolution, const char *kernel),
                      void *context) {
    static const char *const passes[CONV_PASSES] = {"forward", "data gradient", "weight gradient"};
    for (const note *n = ((const cpu_context *)b->context)->notes->first; n; n = n->next)
        for (int i = 0; i < CONV_PASSES; i++) {
            const conv_shape *s = &n->shape;
            char text[160];
            if (!n->kernels[i]) continue;
            snprintf(text, sizeof text, "%dx%d, stride %d, padding %d, %d to %d channels at %dx%d: %s", (int)s->window,
                     (int)s->window, (int)s->stride, (int)s->padding, (int)s->in, (int)s->out, (int)s->h, (int)s->w,
                     passes[i]);
            visit(context, text, n->kernels[i]);
        }
}
