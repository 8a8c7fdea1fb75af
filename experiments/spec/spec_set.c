/*
 * What a command's line changes of a spec: --set, --base and --block. Settings of --set are a layer of their own; what
 * they say about a key that varies is done to the axes at once, so that a sweep shows what is left of it.
 */
#include "experiments/spec/spec_parts.h"

#include <string.h>

/* Fixes `key` in every list of axes that varies it, or with `sweep` gives it other values. */
static bool set_axes(spec_file *file, const char *key, const char *value, const char *where, bool sweep, error *err) {
    bool found = false;
    for (size_t b = 0; b <= file->block_count; b++) {
        bool top = b == file->block_count; /* last, where a key is added that no block varies */
        spec_axes *axes = top ? &file->top.axes : &file->blocks[b].level.axes;
        if (sweep ? !spec_axes_replace(axes, key, value, where, top && !found, &found, err)
                  : !spec_axes_fix(axes, key, value, where, &found, err))
            return false;
    }
    return true;
}

static bool set_random(spec_file *file, const char *what, const char *value, const char *where, error *err) {
    bool found = false;
    for (size_t b = 0; b <= file->block_count; b++) {
        spec_axes *axes = b < file->block_count ? &file->blocks[b].level.axes : &file->top.axes;
        if (!*axes->random_where) continue;
        found = true;
        if (!spec_axes_set_random(axes, what, value, where, err)) return false;
    }
    return found || error_set(err, ERROR_USAGE, "%s: the spec draws nothing; it has no `random:`", where);
}

/* "halving.KEY", or "halving" itself. */
static bool set_halving(spec_file *file, const char *key, const char *value, const char *where, error *err) {
    bool found = false, whole = key[strlen("halving")] == '\0';
    for (size_t b = 0; b <= file->block_count; b++) {
        spec_halving *h = b < file->block_count ? &file->blocks[b].level.halving : &file->top.halving;
        if (!*h->where) continue;
        found = true;
        if (!whole && !spec_halving_set(h, key + strlen("halving."), value, where, err)) return false;
        if (whole) h->off = true;
    }
    if (whole && strcmp(value, "off") != 0)
        return error_set(err, ERROR_USAGE, "%s: `halving` takes `off`; `halving.rungs=[1, 2]` changes a key of it",
                         where);
    return found || error_set(err, ERROR_USAGE, "%s: the spec has no `halving:`", where);
}

/* "KEY=VALUE" into `key`; returns the value, or NULL. */
static const char *split(const char *option, const char *text, char key[SPEC_KEY_SIZE], char where[SPEC_WHERE_SIZE],
                         error *err) {
    const char *equals = strchr(text, '=');
    snprintf(where, SPEC_WHERE_SIZE, "%s %.300s", option, text);
    if (!equals || equals == text) return error_set(err, ERROR_USAGE, "%s: takes KEY=VALUE", where), NULL;
    if (equals - text + 16 >= SPEC_KEY_SIZE) return error_set(err, ERROR_USAGE, "%s: the key is too long", where), NULL;
    snprintf(key, SPEC_KEY_SIZE, "%.*s", (int)(equals - text), text);
    return equals + 1;
}

bool spec_file_set(spec_file *file, const char *text, error *err) {
    char where[SPEC_WHERE_SIZE], key[SPEC_KEY_SIZE], full[SPEC_KEY_SIZE];
    const char *value = split("--set", text, key, where, err);
    if (!value) return false;
    if (strcmp(key, "name") == 0) {
        if (!spec_name_is_safe(value))
            return error_set(err, ERROR_USAGE, "%s: `%.80s` %s", where, value, spec_bad_name);
        if (spec_name_is_index(value))
            return error_set(err, ERROR_USAGE, "%s: `%.80s` %s", where, value, spec_index_name);
        snprintf(file->name, sizeof file->name, "%s", value);
        return true;
    }
    if (strncmp(key, "sweep.", 6) == 0) return set_axes(file, spec_full_key(key + 6, full), value, where, true, err);
    if (strcmp(key, "random.runs") == 0 || strcmp(key, "random.seed") == 0)
        return set_random(file, key + 7, value, where, err);
    spec_full_key(key, full);
    if (strcmp(key, "halving") == 0 || strncmp(key, "halving.", 8) == 0)
        return set_halving(file, key, value, where, err);
    bool list = *value == '[';
    return settings_add(&file->overrides, full, value, list, where, err) &&
           (list || set_axes(file, full, value, where, false, err));
}

bool spec_file_base(spec_file *file, const char *text, error *err) {
    char where[SPEC_WHERE_SIZE], key[SPEC_KEY_SIZE], full[SPEC_KEY_SIZE];
    const char *value = split("--base", text, key, where, err);
    if (!value) return false;
    for (size_t b = 0; b <= file->block_count; b++) {
        const spec_axes *axes = b < file->block_count ? &file->blocks[b].level.axes : &file->top.axes;
        const spec_axis *axis = spec_axes_find(axes, spec_full_key(key, full));
        if (axis) return error_set(err, ERROR_USAGE, "%s: `%s` varies (%s); --set fixes it", where, full, axis->where);
    }
    spec_layer *layer = spec_level_add_layer(&file->top, err);
    return layer && settings_add(&layer->settings, spec_full_key(key, full), value, *value == '[', where, err);
}

static spec_block *find_block(const spec_file *file, const char *name) {
    for (size_t i = 0; i < file->block_count; i++)
        if (strcmp(file->blocks[i].name, name) == 0) return &file->blocks[i];
    return NULL;
}

bool spec_file_keep_blocks(spec_file *file, const char *const *names, error *err) {
    for (size_t i = 0; names[i]; i++) {
        const char *known[256] = {0};
        if (find_block(file, names[i])) continue;
        for (size_t b = 0; b < file->block_count && b < 255; b++) known[b] = file->blocks[b].name;
        const char *near = error_nearest(names[i], known);
        return error_set(err, ERROR_USAGE, "--block %.80s: %s has no such block%s%s%s", names[i], file->path,
                         near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    }
    size_t kept = 0;
    for (size_t b = 0; b < file->block_count; b++) {
        bool named = false;
        for (size_t i = 0; names[i]; i++) named |= strcmp(names[i], file->blocks[b].name) == 0;
        if (named)
            file->blocks[kept++] = file->blocks[b];
        else
            spec_level_free(&file->blocks[b].level);
    }
    file->block_count = kept;
    return true;
}
