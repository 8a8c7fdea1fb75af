/*
 * Tiny ImageNet as it is published (cs231n.stanford.edu/tiny-imagenet-200.zip): train/<wnid>/images/…; val/images/
 * with the labels in val_annotations.txt, which serves as the test split; test/images/ without labels, never read. A
 * copy that was rearranged into class folders goes the way of any folder of images.
 */
#include "engine/data/codecs/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct annotations {
    char *text;
    struct annotation {
        const char *file, *class;
    } * rows;
    size_t count;
} annotations;

static const char list_name[] = "val_annotations.txt";

static bool is_list(const char *name) {
    const char *slash = strrchr(name, '/');
    return strcmp(slash ? slash + 1 : name, list_name) == 0;
}

static source_want choose_list(const void *context, const char *name) {
    (void)context;
    return is_list(name) ? SOURCE_READ : SOURCE_PASS;
}

static int by_file(const void *a, const void *b) {
    return strcmp(((const struct annotation *)a)->file, ((const struct annotation *)b)->file);
}

/* "val_0.JPEG<tab>n03444034<tab>0 …", a line each; the text is cut up in place. */
static bool parse_list(annotations *a, error *err) {
    size_t lines = 0;
    for (const char *p = a->text; (p = strchr(p, '\n')); p++) lines++;
    a->rows = calloc(lines + 2, sizeof *a->rows);
    if (!a->rows) return error_memory(err, lines * sizeof *a->rows, "annotations");
    char *rest = a->text;
    for (char *line; (line = strsep(&rest, "\r\n"));) {
        char *file = strsep(&line, "\t "), *class = strsep(&line, "\t ");
        if (file && *file && class && *class) a->rows[a->count++] = (struct annotation){file, class};
    }
    qsort(a->rows, a->count, sizeof *a->rows, by_file);
    return true;
}

static bool read_list(importer *im, annotations *a, error *err) {
    source_item item;
    source *from = source_open(im->path, err);
    if (!from) return false;
    while (!a->text && source_next(from, choose_list, NULL, &item, err)) {
        if (item.data && !(a->text = strndup((const char *)item.data, item.size)))
            error_memory(err, item.size, item.name);
        source_item_free(&item);
    }
    source_close(from);
    return err->code == 0 && (!a->text || parse_list(a, err));
}

/* Everything but test/images/. */
static bool labelled(const importer *im, const char *name) {
    (void)im;
    return !strstr(name, "test/images/");
}

/* "val/images/val_0.JPEG" becomes "val/<wnid>/val_0.JPEG", and the image one of a folder's like any other. */
static bool rename_image(const importer *im, const annotations *a, found_image *image, error *err) {
    char *middle = strstr(image->name, "val/images/"), *renamed = NULL;
    if (!middle || (middle != image->name && middle[-1] != '/')) return true;
    const char *base = strrchr(image->name, '/') + 1;
    struct annotation key = {base, NULL}, *row = NULL;
    if (a->count) row = bsearch(&key, a->rows, a->count, sizeof *a->rows, by_file);
    if (!row) return error_set(err, ERROR_RUN, "%s: val_annotations.txt has no line for %s", im->path, image->name);
    if (asprintf(&renamed, "%.*sval/%s/%s", (int)(middle - image->name), image->name, row->class, base) < 0)
        return error_memory(err, strlen(image->name), "a file's name");
    free(image->name);
    image->name = renamed;
    return true;
}

bool tiny_imagenet_import(importer *im, error *err) {
    annotations a = {0};
    found f = {0};
    source *from = NULL;
    im->wanted = labelled, im->unwanted = "a test image, which has no label", im->list = list_name;
    bool done = read_list(im, &a, err) && (from = source_open(im->path, err)) && decode_source(im, from, &f, err);
    for (uint32_t i = 0; done && i < f.count; i++) done = rename_image(im, &a, &f.images[i], err);
    while (a.text && f.folder_count) free(f.folders[--f.folder_count]); /* val/images/ is no class */
    done = done && folder_arrange(im, &f, err);
    source_close(from);
    found_free(&f);
    free(a.rows);
    free(a.text);
    return done;
}
