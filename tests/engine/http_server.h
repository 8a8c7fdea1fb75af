/*
 * A small HTTP server with bad manners, for the tests of fetching: one thread on 127.0.0.1, one connection at a time,
 * one file to give, and by the first part of the path a way to give it badly.
 *   /good  with ranges         /cut    a quarter of the file a connection, then closed, ranges known
 *   /first knows no ranges, and cuts the first time
 *   /stall the first half, then nothing; whole when asked for the rest
 *   /wrong other bytes         /busy   503 twice, then good     /never 503 always
 *   /strict with ranges, and says how long the file is to whoever asks for what lies beyond it
 *   /endless never stops sending
 *   /moved redirects to /good  /round  redirects to itself      anything else: 404
 */
#ifndef MEWS_TESTS_HTTP_SERVER_H
#define MEWS_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct http_server {
    int socket, port;
    const char *bytes; /* of the one file */
    size_t size;
    int requests, resumed; /* all; those that asked for a range */
    bool stop;
    pthread_t thread;
} http_server;

static inline void http_send(int to, const void *data, size_t size) {
    for (const char *p = data; size;) {
        ssize_t n = send(to, p, size, MSG_NOSIGNAL);
        if (n <= 0) return;
        p += n, size -= (size_t)n;
    }
}

static inline void http_head(int to, const char *status, size_t length, const char *more) {
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                     length, more);
    http_send(to, head, (size_t)n);
}

/* Bytes from `from` on, of which only `given` are sent. */
static inline void http_give(const http_server *s, int to, size_t from, bool ranges, size_t given) {
    char range[128] = "";
    size_t length = s->size - from;
    if (ranges && from >= s->size && s->size > 0) {
        http_head(to, "416 Range Not Satisfiable", 0, "");
        return;
    }
    if (ranges && from)
        snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from, s->size - 1, s->size);
    http_head(to, ranges && from ? "206 Partial Content" : "200 OK", length, range);
    http_send(to, s->bytes + from, given < length ? given : length);
}

static inline void http_answer(http_server *s, int to) {
    char request[4096], way[32] = "", name[256] = "";
    size_t got = 0, from = 0, all = s->size;
    while (got < sizeof request - 1) {
        ssize_t n = recv(to, request + got, sizeof request - 1 - got, 0);
        if (n <= 0) return;
        got += (size_t)n;
        request[got] = '\0';
        if (strstr(request, "\r\n\r\n")) break;
    }
    s->requests++;
    sscanf(request, "GET /%31[^/]/%255[^ ]", way, name);
    const char *range = strcasestr(request, "Range: bytes=");
    if (range) from = (size_t)atoll(range + 13), s->resumed++;
    if (strcmp(way, "strict") == 0 && from >= s->size) {
        char length[64];
        snprintf(length, sizeof length, "Content-Range: bytes */%zu\r\n", s->size);
        http_head(to, "416 Range Not Satisfiable", 0, length);
    } else if (strcmp(way, "endless") == 0) {
        static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        static const char zeros[4096];
        struct pollfd gone = {.fd = to, .events = POLLRDHUP};
        http_send(to, head, sizeof head - 1);
        while (!s->stop && poll(&gone, 1, 0) == 0) http_send(to, zeros, sizeof zeros);
    } else if (strcmp(way, "good") == 0 || strcmp(way, "strict") == 0)
        http_give(s, to, from, true, all);
    else if (strcmp(way, "cut") == 0)
        http_give(s, to, from, true, all / 4 + 1);
    else if (strcmp(way, "first") == 0)
        http_give(s, to, 0, false, s->requests == 1 ? all / 2 : all);
    else if (strcmp(way, "stall") == 0) {
        http_give(s, to, from, true, from ? all : all / 2);
        struct pollfd gone = {.fd = to, .events = POLLRDHUP};
        if (!from) poll(&gone, 1, 20000); /* until the other side has had enough */
    } else if (strcmp(way, "wrong") == 0) {
        http_head(to, "200 OK", 5, "");
        http_send(to, "wrong", 5);
    } else if (strcmp(way, "never") == 0 || (strcmp(way, "busy") == 0 && s->requests <= 2))
        http_head(to, "503 Service Unavailable", 0, "");
    else if (strcmp(way, "busy") == 0)
        http_give(s, to, from, true, all);
    else if (strcmp(way, "moved") == 0 || strcmp(way, "round") == 0) {
        char location[400];
        snprintf(location, sizeof location, "Location: /%s/%s\r\n", way[0] == 'm' ? "good" : "round", name);
        http_head(to, "302 Found", 0, location);
    } else
        http_head(to, "404 Not Found", 0, "");
}

static inline void *http_run(void *argument) {
    http_server *s = argument;
    for (;;) {
        int to = accept(s->socket, NULL, NULL);
        if (to < 0) return NULL; /* http_stop has shut the socket down */
        http_answer(s, to);
        close(to);
    }
}

static inline void http_start(http_server *s, const char *bytes, size_t size) {
    *s = (http_server){.bytes = bytes, .size = size};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    s->socket = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(s->socket, 0);
    ck_assert_int_eq(bind(s->socket, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(s->socket, 16), 0);
    ck_assert_int_eq(getsockname(s->socket, (struct sockaddr *)&address, &length), 0);
    s->port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, http_run, s), 0);
}

static inline void http_stop(http_server *s) {
    s->stop = true;
    shutdown(s->socket, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->socket);
}

#endif
