/* A safetensors file as a file of arrays: what of it is not read is offered with the reason. */
#include "analysis/files/array_box.h"
#include "engine/files/safetensors.h"

#include <stdio.h>
#include <string.h>

/* An entry as an array, and what hinders reading it, or NULL. */
static const char *entry_array(const safetensors_entry *e, strided *a, char *problem, size_t size) {
    *a = (strided){.type = e->dtype, .dims = e->dims, .data = e->data};
    memcpy(a->shape, e->shape, sizeof a->shape);
    strided_pack(a, false);
    if (!e->unread) return NULL;
    snprintf(problem, size, "is of %.60s, which is not read", e->unread);
    return problem;
}

static bool offer_entries(array_box *b, const safetensors *st, error *err) {
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const safetensors_entry *e = safetensors_at(st, i);
        char problem[100];
        strided a;
        const char *unread = entry_array(e, &a, problem, sizeof problem);
        if (!array_box_offer(b, e->name, &a, unread, err)) return false;
    }
    return true;
}

static bool open_file(array_box *b, error *err) {
    b->state = safetensors_parse(b->bytes, b->size, b->name, err);
    if (b->state && safetensors_is_checkpoint(b->state) && safetensors_seal(b->state) != SEAL_SOUND)
        return error_set(err, ERROR_RUN, "%.1100s: its checksum does not hold: it has been damaged", b->name);
    return b->state && offer_entries(b, b->state, err);
}

static void close_file(array_box *b) { safetensors_close(b->state); }

const array_format array_format_safetensors = {.kind = "a safetensors file", .open = open_file, .close = close_file};
