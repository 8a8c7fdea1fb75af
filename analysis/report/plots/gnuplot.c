/*
 * The child process and its pictures. The script stands in a temporary file that the child reads as stdin, so parent
 * and child never wait for each other; stderr goes to another one, whose first line becomes the error's text.
 */
#include "analysis/report/plots/gnuplot.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool read_all(int descriptor, char **out, size_t *size, error *err) {
    size_t capacity = 1 << 16;
    char *data = malloc(capacity + 1);
    *size = 0;
    while (data) {
        ssize_t got = read(descriptor, data + *size, capacity - *size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(data);
            return error_set(err, ERROR_RUN, "gnuplot: reading its picture failed: %s", strerror(errno));
        }
        if (got == 0) break;
        *size += (size_t)got;
        if (*size < capacity) continue;
        char *grown = realloc(data, 2 * capacity + 1);
        if (!grown) free(data);
        data = grown, capacity *= 2;
    }
    if (!data) return error_memory(err, capacity, "a picture");
    data[*size] = 0;
    *out = data;
    return true;
}

/* Gnuplot complains in several lines: the offending command, a caret, then 'line 7: reason'. */
static void complaint(FILE *errors, char *out, size_t size) {
    char line[256];
    snprintf(out, size, "it failed without a word");
    rewind(errors);
    while (fgets(line, sizeof line, errors)) {
        char *text = line + strspn(line, " \t");
        text[strcspn(text, "\n")] = 0;
        if (strstr(text, "line ")) snprintf(out, size, "%s", text);
    }
}

static bool spawn(FILE *script, FILE *errors, int output, pid_t *child, error *err) {
    /* by name: what it takes for typed it reads a byte at a time */
    char *const arguments[] = {"gnuplot", "-d", "/dev/stdin", NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions)) return error_memory(err, sizeof actions, "starting gnuplot");
    int failed = posix_spawn_file_actions_adddup2(&actions, fileno(script), 0) ||
                 posix_spawn_file_actions_adddup2(&actions, output, 1) ||
                 posix_spawn_file_actions_adddup2(&actions, fileno(errors), 2);
    int code = failed ? ENOMEM : posix_spawnp(child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code == ENOENT)
        return error_set(err, ERROR_RUN, "gnuplot was not found; the figures need it: install the package gnuplot-nox");
    return !code || error_set(err, ERROR_RUN, "gnuplot could not be started: %s", strerror(code));
}

bool gnuplot_run(FILE *script, char **out, size_t *size, error *err) {
    int ends[2] = {-1, -1}, status = 0;
    pid_t child = -1;
    bool ok = false;
    char why[200];
    FILE *errors = tmpfile();
    *out = NULL;
    if (!errors || fflush(script) || ferror(script) || lseek(fileno(script), 0, SEEK_SET) < 0 ||
        pipe2(ends, O_CLOEXEC)) {
        error_set(err, ERROR_RUN, "gnuplot could not be started: %s", strerror(errno));
        goto done;
    }
    if (!spawn(script, errors, ends[1], &child, err)) goto done;
    close(ends[1]);
    ends[1] = -1;
    ok = read_all(ends[0], out, size, err);
    close(ends[0]); /* a child that still writes is told so */
    ends[0] = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (ok && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        complaint(errors, why, sizeof why);
        ok = error_set(err, ERROR_RUN, "gnuplot: %s", why);
    }
done:
    if (ends[0] >= 0) close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
    if (errors) fclose(errors);
    if (!ok) {
        free(*out);
        *out = NULL;
    }
    return ok;
}

static void quote(FILE *out, const char *text, bool tick) {
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'' || (tick && *text == '%')) fputc(*text, out);
        fputc(iscntrl((unsigned char)*text) ? ' ' : *text, out);
    }
    fputc('\'', out);
}

void gnuplot_text(FILE *out, const char *text) { quote(out, text, false); }
void gnuplot_tick_text(FILE *out, const char *text) { quote(out, text, true); }

/* ---- SVG -------------------------------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* A page is read where DejaVu may not be: Verdana has its widths. */
static const char own_font[] = "font-family=\"DejaVu Sans\"",
                  page_font[] = "font-family=\"DejaVu Sans, Verdana, sans-serif\"";

/* Copies one tag, from its < up to its >. A < inside text is always escaped by gnuplot, a > is not. */
static const char *copy_tag(const char *at, const char *prefix, FILE *out) {
    if (starts(at, "<image ")) {
        fputs("<image style='image-rendering:pixelated' ", out);
        at += strlen("<image ");
    }
    for (; *at; at++) {
        if (starts(at, own_font)) {
            fputs(page_font, out);
            at += strlen(own_font);
        }
        fputc(*at, out);
        if (*at == '>') return at + 1;
        if ((*at == '"' || *at == '\'') && at[-1] == '=' && at[-2] == 'd' && at[-3] == 'i' &&
            isspace((unsigned char)at[-4]))
            fputs(prefix, out);
        if (*at == '#' && (at[-1] == '\'' || at[-1] == '"') && starts(at - 6, "href=")) fputs(prefix, out);
    }
    return at;
}

/* The filters behind boxed labels, of which there are none, and text that only says where gnuplot is. */
static const char *skip_unused(const char *at) {
    static const char *const elements[] = {"title", "filter"};
    char open[16], close[16];
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        snprintf(open, sizeof open, "<%s", elements[i]);
        snprintf(close, sizeof close, "</%s>", elements[i]);
        if (!starts(at, open)) continue;
        const char *end = strstr(at, close);
        return end ? end + strlen(close) : at + strlen(at);
    }
    return at;
}

/* Gnuplot opens a group for every change of colour, and most stay empty. */
static const char *skip_empty_group(const char *at) {
    if (!starts(at, "<g ")) return at;
    const char *end = strchr(at, '>');
    if (!end) return at;
    end += 1 + strspn(end + 1, " \t\r\n");
    return starts(end, "</g>") ? end + strlen("</g>") : at;
}

/* Whether a tag defines one of the marks that gnuplot puts into every document, and which. */
static bool find_mark(const char *tag, char id[16]) {
    const char *end = strchr(tag, '>'), *at = end ? memmem(tag, (size_t)(end - tag), " id='gp", 7) : NULL;
    return at && sscanf(at, " id='%15[A-Za-z0-9]'", id) == 1;
}

/* A definition is drawn where something after it refers to it: the picture itself, or another that is drawn. */
static bool mark_is_drawn(const char *definition, const char *id) {
    char link[24], other[16];
    const char *definitions = strstr(definition, "</defs>"), *end = strstr(definition, "</svg>");
    snprintf(link, sizeof link, "#%s'", id);
    for (const char *at = definition; (at = strstr(at, link)) && at < end; at++) {
        const char *tag = at;
        while (*tag != '<') tag--;
        if (at > definitions || !find_mark(tag, other) || mark_is_drawn(at, other)) return true;
    }
    return false;
}

static const char *skip_unused_mark(const char *at) {
    char id[16];
    if (*at != '<' || !find_mark(at, id) || mark_is_drawn(at, id)) return at;
    return strchr(at, '>') + 1;
}

bool gnuplot_svg_body(const char *documents, size_t index, const char *prefix, FILE *out) {
    const char *at = documents;
    for (size_t i = 0;; i++) {
        at = strstr(at, "<svg");
        if (!at) return false;
        if (i == index) break;
        at += 4;
    }
    at = strstr(at, "<g id=\"gnuplot_canvas\">");
    if (!at) return false;
    while (*at && !starts(at, "</svg>")) {
        const char *next = skip_empty_group(skip_unused_mark(skip_unused(at)));
        if (next != at)
            at = next;
        else if (*at == '<')
            at = copy_tag(at, prefix, out);
        else if (isspace((unsigned char)*at)) {
            at += strspn(at, " \t\r\n");
            fputc(*at == '<' ? '\n' : ' ', out); /* between tags; in a text a blank */
        } else
            fputc(*at++, out);
    }
    return *at != 0;
}
