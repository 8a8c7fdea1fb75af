/*
 * Lines as the names of a source's files: a layout is found or refused, and every name lies somewhere in it. The first
 * two lines are data.train and data.test.
 */
#include "engine/data/sets/layout.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

int fuzz_layout(const uint8_t *data, size_t size) {
    const char *names[MOST], *folders[MOST];
    char *text = malloc(size + 1), *rest = text;
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = '\0';
    layout_paths p = {.source = "source", .images = names, .folders = folders, .train = "", .test = ""};
    for (int line = 0; rest && p.image_count < MOST && p.folder_count < MOST; line++) {
        char *name = strsep(&rest, "\n");
        size_t n = strlen(name);
        if (line < 2)
            *(line ? &p.test : &p.train) = name;
        else if (n && name[n - 1] == '/')
            folders[p.folder_count++] = name;
        else if (n)
            names[p.image_count++] = name;
    }
    layout l;
    error err = {0};
    if (p.image_count && layout_read(&l, &p, &err)) {
        for (size_t i = 0; i < p.image_count; i++) {
            layout_place place = layout_place_of(&l, names[i]);
            if (place.class_name) fuzz_use(place.class_name, place.length);
            if (place.class_name && (place.split == LAYOUT_NONE || !l.labelled)) abort();
        }
        for (size_t i = 0; i < p.folder_count; i++) layout_place_of(&l, folders[i]);
        layout_free(&l);
    } else if (p.image_count && !err.code) {
        abort();
    }
    free(text);
    return 0;
}
