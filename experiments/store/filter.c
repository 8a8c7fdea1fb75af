/*
 * A recursive-descent parser over one line. Its nodes stand in one array, children before their parents, so the last
 * one is the root and there is nothing to walk when it is freed.
 */
#include "experiments/store/filter.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 128, MOST_DEPTH = 32 };

typedef enum node_kind { COMPARE, AND, OR, NOT } node_kind;
typedef enum relation { EQUAL, UNEQUAL, LESS, AT_MOST, MORE, AT_LEAST } relation;

typedef struct node {
    node_kind kind;
    int left, right;
    relation relation;
    char key[96], value[256];
    bool is_number;
    double number;
    size_t column;
} node;

struct filter {
    node nodes[MOST_NODES];
    int count;
};

typedef enum token_kind { END, WORD, QUOTED, RELATION, OPEN, CLOSE } token_kind;

typedef struct parser {
    const char *text, *next; /* the condition; what follows the token */
    const char *at;          /* where the token begins */
    token_kind token;
    char word[256];
    relation relation;
    int depth;
    filter *out;
    error *err;
} parser;

static int refuse(parser *p, const char *expected) {
    error_set(p->err, ERROR_USAGE, "--where: expected %s at %s%.60s%s (character %zu of `%.200s`)", expected,
              *p->at ? "`" : "the end", p->at, *p->at ? "`" : "", (size_t)(p->at - p->text) + 1, p->text);
    return -1;
}

/* ---- Tokens ---- */

static bool take_relation(parser *p) {
    static const struct {
        const char *text;
        relation relation;
    } relations[] = {{"==", EQUAL}, {"!=", UNEQUAL}, {"<=", AT_MOST}, {">=", AT_LEAST},
                     {"=", EQUAL},  {"<", LESS},     {">", MORE}};
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++) {
        size_t length = strlen(relations[i].text);
        if (strncmp(p->next, relations[i].text, length) != 0) continue;
        p->token = RELATION, p->relation = relations[i].relation, p->next += length;
        return true;
    }
    return false;
}

static bool take_word(parser *p, const char *begin, size_t length, token_kind kind) {
    if (length >= sizeof p->word) return refuse(p, "a shorter word"), false;
    memcpy(p->word, begin, length);
    p->word[length] = '\0';
    p->token = kind;
    return true;
}

static bool advance(parser *p) {
    while (isspace((unsigned char)*p->next)) p->next++;
    p->at = p->next;
    char c = *p->next;
    if (!c) return p->token = END, true;
    if (c == '(' || c == ')') return p->token = c == '(' ? OPEN : CLOSE, p->next++, true;
    if (take_relation(p)) return true;
    if (c == '\'' || c == '"') {
        const char *close = strchr(p->next + 1, c);
        if (!close) return refuse(p, "a closing quote for what begins"), false;
        p->next = close + 1;
        return take_word(p, p->at + 1, (size_t)(close - p->at) - 1, QUOTED);
    }
    size_t length = strcspn(p->next, " \t\r\n()=!<>'\"");
    if (length == 0) return refuse(p, "a comparison"), false;
    p->next += length;
    return take_word(p, p->at, length, WORD);
}

static bool is_word(const parser *p, const char *word) { return p->token == WORD && strcmp(p->word, word) == 0; }

/* ---- Grammar: each returns its node, −1 after an error ---- */

static int add(parser *p, node n) {
    if (p->out->count == MOST_NODES) {
        error_set(p->err, ERROR_USAGE, "--where: more than %d conditions", MOST_NODES);
        return -1;
    }
    p->out->nodes[p->out->count] = n;
    return p->out->count++;
}

static int parse_any(parser *p);

static int parse_comparison(parser *p) {
    node n = {.kind = COMPARE};
    if (p->token != WORD) return refuse(p, "a key, as in `method.codes > 1000`,");
    if (strlen(p->word) >= sizeof n.key) return refuse(p, "a shorter key");
    strcpy(n.key, p->word);
    if (!advance(p)) return -1;
    if (p->token != RELATION) return refuse(p, "one of = != < <= > >=");
    n.relation = p->relation;
    if (!advance(p)) return -1;
    if (p->token != WORD && p->token != QUOTED) return refuse(p, "a value");
    memcpy(n.value, p->word, sizeof n.value);
    char *end;
    n.number = strtod(n.value, &end);
    n.is_number = *n.value && !*end && p->token == WORD;
    if (n.relation >= LESS && !n.is_number) return refuse(p, "a number");
    return advance(p) ? add(p, n) : -1;
}

static int parse_one(parser *p) {
    int inner;
    if (++p->depth > MOST_DEPTH) return refuse(p, "less nesting");
    if (is_word(p, "not")) {
        if (!advance(p) || (inner = parse_one(p)) < 0) return -1;
        inner = add(p, (node){.kind = NOT, .left = inner});
    } else if (p->token == OPEN) {
        if (!advance(p) || (inner = parse_any(p)) < 0) return -1;
        if (p->token != CLOSE) return refuse(p, "`)`");
        if (!advance(p)) return -1;
    } else {
        inner = parse_comparison(p);
    }
    p->depth--;
    return inner;
}

static int parse_all(parser *p) {
    int left = parse_one(p), right;
    while (left >= 0 && is_word(p, "and")) {
        if (!advance(p) || (right = parse_one(p)) < 0) return -1;
        left = add(p, (node){.kind = AND, .left = left, .right = right});
    }
    return left;
}

static int parse_any(parser *p) {
    int left = parse_all(p), right;
    while (left >= 0 && is_word(p, "or")) {
        if (!advance(p) || (right = parse_all(p)) < 0) return -1;
        left = add(p, (node){.kind = OR, .left = left, .right = right});
    }
    return left;
}

filter *filter_parse(const char *text, error *err) {
    parser p = {.text = text, .next = text, .at = text, .err = err, .out = calloc(1, sizeof(filter))};
    if (!p.out) {
        error_memory(err, sizeof(filter), "a condition");
        return NULL;
    }
    bool done = advance(&p) && parse_any(&p) >= 0 && (p.token == END || refuse(&p, "`and`, `or` or the end") >= 0);
    if (done) return p.out;
    filter_free(p.out);
    return NULL;
}

void filter_free(filter *f) { free(f); }

/* ---- Judging ---- */

bool filter_bind(filter *f, store *s, store_runs *all, error *err) {
    for (int i = 0; i < f->count; i++)
        if (f->nodes[i].kind == COMPARE && !store_runs_column(s, all, f->nodes[i].key, &f->nodes[i].column, err))
            return error_prefix(err, "--where");
    return true;
}

static bool compare(const node *n, const cell *c) {
    if (c->type == CELL_NONE) return false;
    bool numbers = c->type == CELL_NUMBER && n->is_number;
    switch (n->relation) {
    case EQUAL: return numbers ? c->number == n->number : strcmp(c->text, n->value) == 0;
    case UNEQUAL: return numbers ? c->number != n->number : strcmp(c->text, n->value) != 0;
    case LESS: return numbers && c->number < n->number;
    case AT_MOST: return numbers && c->number <= n->number;
    case MORE: return numbers && c->number > n->number;
    case AT_LEAST: return numbers && c->number >= n->number;
    }
    return false;
}

static bool holds(const filter *f, int at, const store_runs *all, size_t run) {
    const node *n = &f->nodes[at];
    switch (n->kind) {
    case COMPARE: return compare(n, &all->columns[n->column].cells[run]);
    case AND: return holds(f, n->left, all, run) && holds(f, n->right, all, run);
    case OR: return holds(f, n->left, all, run) || holds(f, n->right, all, run);
    case NOT: return !holds(f, n->left, all, run);
    }
    return false;
}

bool filter_holds(const filter *f, const store_runs *all, size_t run) { return holds(f, f->count - 1, all, run); }

const char *filter_key(const filter *f, size_t i) {
    for (int at = 0; at < f->count; at++)
        if (f->nodes[at].kind == COMPARE && i-- == 0) return f->nodes[at].key;
    return NULL;
}
