/*
 * Reading and writing options through their rows. Text goes in and out exactly: a number is written with the fewest
 * digits that read back to the same bits, always with a point and a signed exponent, so that other YAML readers take
 * it for a number too (YAML 1.1 takes 1e-4 for text). Every refusal names the key, says what it takes and quotes what
 * it got.
 */
#include "engine/fields.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ROWS = 255 };

/* Whole numbers beyond this are "no bound" in words: nobody means them. */
static const double practical_infinity = 1e15;

static bool has_bounds(const field *row) { return row->min < row->max; }

const field *fields_find(const field_table *table, const char *key) {
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].key, key) == 0) return &table->rows[i];
    return NULL;
}

const char *fields_nearest(const field_table *table, const char *key) {
    const char *keys[MAX_ROWS + 1];
    size_t n = table->count < MAX_ROWS ? table->count : MAX_ROWS;
    for (size_t i = 0; i < n; i++) keys[i] = table->rows[i].key;
    keys[n] = NULL;
    return error_nearest(key, keys);
}

const field *fields_require(const field_table *table, const char *key, error *err) {
    const field *row = fields_find(table, key);
    if (row) return row;
    const char *near = fields_nearest(table, key), *s = table->section;
    if (near)
        error_set(err, ERROR_USAGE, "unknown key `%s.%s`; did you mean `%s.%s`?", s, key, s, near);
    else
        error_set(err, ERROR_USAGE, "unknown key `%s.%s`; `mews keys %s` lists what there is", s, key, s);
    return NULL;
}

void fields_defaults(const field_table *table, void *options) {
    memset(options, 0, table->size);
    for (size_t i = 0; i < table->count; i++) {
        error err = {0};
        const field *row = &table->rows[i];
        if (!field_parse(table, row, options, row->fallback ? row->fallback : "", &err)) abort();
    }
}

/* ---- What a row takes, in words ---- */

char *field_domain(const field *row, char *out, size_t size) {
    static const char *const nouns[] = {
        [FIELD_BOOL] = "true or false",   [FIELD_INT] = "integer",  [FIELD_REAL] = "number",
        [FIELD_CHOICE] = "one of: ",      [FIELD_SET] = "any of: ", [FIELD_TEXT] = "text",
        [FIELD_LIST] = "a list of words",
    };
    size_t used = (size_t)snprintf(out, size, "%s", nouns[row->type]);
    if (row->type == FIELD_CHOICE || row->type == FIELD_SET) {
        for (size_t i = 0; row->choices[i] && used < size; i++)
            used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", row->choices[i]);
    } else if ((row->type == FIELD_INT || row->type == FIELD_REAL) && has_bounds(row) && used < size) {
        bool low = row->min > -practical_infinity, high = row->max < practical_infinity;
        if (low && high)
            snprintf(out + used, size - used, " from %.15g to %.15g", row->min, row->max);
        else if (low)
            snprintf(out + used, size - used, " of at least %.15g", row->min);
        else if (high)
            snprintf(out + used, size - used, " of at most %.15g", row->max);
    }
    return out;
}

/* "`method.codes` takes an integer from 1 to 65536, not `many`": the one form of all refusals. */
static bool refuse(const field_table *table, const field *row, const char *text, error *err) {
    char domain[512];
    field_domain(row, domain, sizeof domain);
    const char *article = row->type == FIELD_INT ? "an " : row->type == FIELD_REAL ? "a " : "";
    return error_set(err, ERROR_USAGE, "`%s.%s` takes %s%s, not `%.80s`", table->section, row->key, article, domain,
                     text);
}

static bool refuse_word(const field_table *table, const field *row, const char *word, error *err) {
    const char *near = error_nearest(word, row->choices);
    if (near)
        return error_set(err, ERROR_USAGE, "`%s.%s` does not know `%.80s`; did you mean `%s`?", table->section,
                         row->key, word, near);
    return refuse(table, row, word, err);
}

/* ---- Rows that depend on others ---- */

/* One word of a condition against a value: the same, or ('~') among a set's. */
static bool is_among(const char *value, const char *word, size_t length, char how) {
    if (how != '~') {
        char *value_end, *word_end;
        double x = strtod(value, &value_end), y = strtod(word, &word_end); /* 0 is 0.0 */
        if (*value && !*value_end && word_end == word + length && length > 0) return x == y;
        return strlen(value) == length && strncmp(value, word, length) == 0;
    }
    for (const char *item = value + strspn(value, "[ "); *item && *item != ']'; item += strspn(item, ", ")) {
        size_t size = strcspn(item, ",]");
        if (size == length && strncmp(item, word, length) == 0) return true;
        item += size;
    }
    return false;
}

static bool condition_holds(const field_table *table, const field_condition *condition, const void *options) {
    char key[64], value[FIELD_TEXT_SIZE];
    const char *with = condition->only_with;
    size_t n = strcspn(with, "!=~");
    bool other = with[n] == '!', among = false;
    snprintf(key, sizeof key, "%.*s", (int)n, with);
    const field *decides = fields_find(table, key);
    if (!decides) abort(); /* a condition that names no row is a bug */
    field_format(decides, options, value, sizeof value);
    for (const char *word = with + n + (other ? 2 : 1); word; word = strchr(word, '|'), word = word ? word + 1 : NULL)
        among |= is_among(value, word, strcspn(word, "|"), with[n]);
    return among != other;
}

const field_condition *field_conditions_hold(const field_table *table, const field_condition *conditions,
                                             const field *row, const void *options, bool *met) {
    const field_condition *first = NULL;
    *met = false;
    for (const field_condition *c = conditions; c && c->key; c++) {
        if (strcmp(c->key, row->key) != 0) continue;
        if (!first) first = c;
        *met = *met || condition_holds(table, c, options);
    }
    if (!first) *met = true;
    return first;
}

/* ---- Reading ---- */

static int choice_index(const field *row, const char *word) {
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], word) == 0) return i;
    return -1;
}

/* As YAML writes them: true, True or TRUE. */
static bool parse_bool(const char *text, bool *value) {
    static const char *const words[] = {"true", "yes", "on", "false", "no", "off"};
    for (int i = 0; i < 6; i++) {
        size_t upper = 0, n = strlen(words[i]);
        if (strcasecmp(text, words[i]) != 0) continue;
        for (size_t c = 0; c < n; c++) upper += isupper((unsigned char)text[c]) != 0;
        *value = i < 3;
        return upper == 0 || upper == n || (upper == 1 && isupper((unsigned char)*text));
    }
    return false;
}

/* Decimal only: strtod alone would take "0x10", "nan" and leading blanks. */
static bool parse_number(const char *text, const char *letters, double *value) {
    if (!*text || strspn(text, letters) != strlen(text)) return false;
    char *end;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static bool parse_integer(const char *text, int64_t *value) {
    double unused;
    if (!parse_number(text, "+-0123456789", &unused)) return false;
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return errno == 0;
}

static bool within(const field *row, double value) {
    return !has_bounds(row) || (value >= row->min && value <= row->max);
}

static bool parse_set(const field_table *table, const field *row, const char *text, unsigned *value, error *err) {
    char copy[512], *rest = copy;
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) return refuse(table, row, text, err);
    size_t length = strlen(copy);
    if (length >= 2 && copy[0] == '[' && copy[length - 1] == ']') copy[length - 1] = '\0', rest++;
    *value = 0;
    for (char *word; (word = strsep(&rest, ", "));) {
        if (!*word) continue;
        int i = choice_index(row, word);
        if (i < 0) return refuse_word(table, row, word, err);
        *value |= 1u << i;
    }
    return true;
}

bool field_parse(const field_table *table, const field *row, void *options, const char *text, error *err) {
    void *place = (char *)options + row->offset;
    switch (row->type) {
    case FIELD_BOOL: return parse_bool(text, place) || refuse(table, row, text, err);
    case FIELD_INT: {
        int64_t value;
        if (!parse_integer(text, &value) || !within(row, (double)value)) return refuse(table, row, text, err);
        memcpy(place, &value, sizeof value);
        return true;
    }
    case FIELD_REAL: {
        double value;
        if (!parse_number(text, "+-.0123456789eE", &value) || !within(row, value)) return refuse(table, row, text, err);
        memcpy(place, &value, sizeof value);
        return true;
    }
    case FIELD_CHOICE: {
        int i = choice_index(row, text);
        if (i < 0) return refuse_word(table, row, text, err);
        memcpy(place, &i, sizeof i);
        return true;
    }
    case FIELD_SET: return parse_set(table, row, text, place, err);
    case FIELD_TEXT:
    case FIELD_LIST:
        if (strlen(text) >= FIELD_TEXT_SIZE)
            return error_set(err, ERROR_USAGE, "`%s.%s` takes at most %d letters, not %zu", table->section, row->key,
                             FIELD_TEXT_SIZE - 1, strlen(text));
        memset(place, 0, FIELD_TEXT_SIZE); /* so that equal texts are equal bytes */
        memcpy(place, text, strlen(text));
        return true;
    }
    return false;
}

/* ---- Writing ---- */

/* The fewest digits that read back to the same bits, as 0.5, 20.0, 1.0e-4, 1.0e+6. */
static void format_real(double value, char *out, size_t size) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (fabs(value) >= 10 && fabs(value) < 1e6 && strchr(text, 'e')) snprintf(text, sizeof text, "%.0f", value);
    size_t mantissa = strcspn(text, "e");
    const char *exponent = text + mantissa;
    char scaled[16] = "";
    if (*exponent) snprintf(scaled, sizeof scaled, "e%+ld", strtol(exponent + 1, NULL, 10));
    bool pointed = strcspn(text, ".") < mantissa;
    snprintf(out, size, "%.*s%s%s", (int)mantissa, text, pointed ? "" : ".0", scaled);
}

char *field_format(const field *row, const void *options, char *out, size_t size) {
    const void *place = (const char *)options + row->offset;
    switch (row->type) {
    case FIELD_BOOL: snprintf(out, size, "%s", *(const bool *)place ? "true" : "false"); break;
    case FIELD_INT: snprintf(out, size, "%lld", (long long)*(const int64_t *)place); break;
    case FIELD_REAL: format_real(*(const double *)place, out, size); break;
    case FIELD_CHOICE: snprintf(out, size, "%s", row->choices[*(const int *)place]); break;
    case FIELD_SET: {
        unsigned set = *(const unsigned *)place;
        size_t used = (size_t)snprintf(out, size, "[");
        for (int i = 0; row->choices[i] && used < size; i++)
            if (set >> i & 1)
                used += (size_t)snprintf(out + used, size - used, "%s%s", used > 1 ? ", " : "", row->choices[i]);
        if (used < size) snprintf(out + used, size - used, "]");
        break;
    }
    case FIELD_TEXT:
    case FIELD_LIST: snprintf(out, size, "%s", (const char *)place); break;
    }
    return out;
}
