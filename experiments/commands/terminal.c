/*
 * The status line is cut to the terminal's width, since a line that wraps cannot be rewritten; widths are counted in
 * letters (UTF-8), which is right for the plain words printed here.
 */
#include "experiments/commands/terminal.h"
#include "engine/clock.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

terminal terminal_open(FILE *stream) {
    const char *kind = getenv("TERM");
    return (terminal){.stream = stream, .live = isatty(fileno(stream)) && kind && strcmp(kind, "dumb") != 0};
}

/* Bytes of the first `letters` letters of a text. */
static int bytes_of(const char *text, int letters) {
    int bytes = 0;
    for (; text[bytes]; bytes++)
        if ((text[bytes] & 0xC0) != 0x80 && letters-- == 0) break;
    return bytes;
}

void terminal_clear(terminal *t) {
    if (t->showing) fputs("\r\033[K", t->stream);
    t->showing = false;
    fflush(t->stream);
}

void terminal_status(terminal *t, bool force, const char *format, ...) {
    double now = clock_seconds();
    if (!t->live || (!force && now - t->shown < 0.1)) return;
    char text[512];
    struct winsize window;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int width = ioctl(fileno(t->stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : 79;
    fprintf(t->stream, "\r\033[K%.*s", bytes_of(text, width), text);
    fflush(t->stream);
    t->showing = true;
    t->shown = now;
}

void terminal_line(terminal *t, const char *format, ...) {
    terminal_clear(t);
    va_list args;
    va_start(args, format);
    vfprintf(t->stream, format, args);
    va_end(args);
    putc('\n', t->stream);
    fflush(t->stream);
}

/* COLUMNS, as a user or a script sets it, or what the terminal says; 0 where neither does. */
static int asked_width(FILE *stream) {
    enum { NARROWEST = 40 };
    struct winsize window;
    const char *columns = getenv("COLUMNS");
    long asked = columns ? strtol(columns, NULL, 10) : 0;
    if (asked >= NARROWEST && asked <= 10000) return (int)asked;
    int file = fileno(stream);
    bool known = isatty(file) && ioctl(file, TIOCGWINSZ, &window) == 0 && window.ws_col >= NARROWEST;
    return known ? window.ws_col : 0;
}

int terminal_width(FILE *stream) {
    int width = asked_width(stream);
    return width ? width : 120;
}

bool terminal_has_width(FILE *stream) { return asked_width(stream) > 0; }

const char *terminal_colour(FILE *stream, const char *word) {
    static const struct {
        const char *word, *colour;
    } known[] = {{"collapsed", "\033[31m"},   {"failed", "\033[31m"},  {"warning", "\033[33m"},
                 {"interrupted", "\033[33m"}, {"stopped", "\033[33m"}, {"healthy", "\033[32m"},
                 {"finished", "\033[32m"},    {"running", "\033[36m"}, {"queued", "\033[36m"}};
    const char *kind = getenv("TERM"), *none = getenv("NO_COLOR");
    if ((none && *none) || !isatty(fileno(stream)) || !kind || strcmp(kind, "dumb") == 0) return "";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, word) == 0) return known[i].colour;
    return "";
}

int terminal_letters(const char *text) {
    int n = 0;
    for (; *text; text++) n += (*text & 0xC0) != 0x80;
    return n;
}

void terminal_wrap(FILE *stream, const char *text, int column, int indent, int width) {
    bool first = true;
    while (*text) {
        size_t bytes = strcspn(text, " ");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)bytes, text);
        if (!first && column + 1 + terminal_letters(word) > width) {
            fprintf(stream, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            putc(' ', stream);
            column++;
        }
        fputs(word, stream);
        column += terminal_letters(word);
        first = false;
        text += bytes + strspn(text + bytes, " ");
    }
    putc('\n', stream);
}

char *terminal_duration(double seconds, char out[32]) {
    long s = isfinite(seconds) && seconds >= 0 && seconds < 1e9 ? lround(seconds) : -1;
    if (s < 0)
        snprintf(out, 32, "?");
    else if (s < 100)
        snprintf(out, 32, "%ld s", s);
    else if (s < 100 * 60)
        snprintf(out, 32, "%ld min", (s + 30) / 60);
    else if (s < 100 * 3600)
        snprintf(out, 32, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%ld days", (s + 43200) / 86400);
    return out;
}
