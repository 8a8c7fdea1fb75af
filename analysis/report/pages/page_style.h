/*
 * The head and the looks of an HTML page, and text made safe for it.
 */
#ifndef MEWS_PAGE_STYLE_H
#define MEWS_PAGE_STYLE_H

#include <stdio.h>

/* Everything up to the title as a heading, inside an open <header>. */
void page_open(FILE *out, const char *title, const char *kind);

/* Text with < > & " ' made harmless, in an element or a quoted attribute. */
void page_text(FILE *out, const char *text);

#endif
