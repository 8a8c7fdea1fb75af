#include "engine/heartbeat.h"
#include "engine/clock.h"
#include "engine/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 8, BEAT = 'b', GOODBYE = 'g' };

static const double CONNECT_SECONDS = 5;

typedef struct link {
    int rank, socket, silent; /* ticks since something came */
    bool parted;              /* with a goodbye */
    char host[HEARTBEAT_HOST];
} link_to;

struct heartbeat {
    int count, seconds;
    int wake[2]; /* a pipe: closing */
    heartbeat_lost *lost;
    pthread_t thread;
    struct pollfd *polled; /* the links, and wake[0] */
    link_to links[];
};

/* Where rank 0 listens; its token keeps strangers out. */
typedef struct place {
    uint64_t token;
    int count;
    struct sockaddr_storage addresses[ADDRESSES];
} place;

typedef struct hello {
    uint64_t token;
    int rank;
} hello;

static socklen_t size_of(const struct sockaddr *a) {
    return a->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Reached from other machines: neither this machine's loop, where there is more, nor an address of one cable alone. */
static bool is_public(const struct ifaddrs *i, bool loop) {
    if (!i->ifa_addr || !(i->ifa_flags & IFF_LOOPBACK) == loop || !(i->ifa_flags & IFF_UP)) return false;
    if (i->ifa_addr->sa_family == AF_INET) return true;
    return i->ifa_addr->sa_family == AF_INET6 &&
           !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr);
}

static void add_addresses(place *here, const struct ifaddrs *all, in_port_t port, bool only_v4, bool loop) {
    for (const struct ifaddrs *i = all; i && here->count < ADDRESSES; i = i->ifa_next) {
        if (!is_public(i, loop) || (only_v4 && i->ifa_addr->sa_family != AF_INET)) continue;
        struct sockaddr_storage *to = &here->addresses[here->count++];
        memcpy(to, i->ifa_addr, size_of(i->ifa_addr));
        if (to->ss_family == AF_INET6)
            ((struct sockaddr_in6 *)to)->sin6_port = port;
        else
            ((struct sockaddr_in *)to)->sin_port = port;
    }
}

static void find_addresses(place *here, in_port_t port, bool only_v4) {
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) return;
    add_addresses(here, all, port, only_v4, false);
    if (here->count == 0) add_addresses(here, all, port, only_v4, true);
    freeifaddrs(all);
}

/* A socket that listens at any address and free port, or -1; *here says where. */
static int listen_anywhere(place *here) {
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    struct sockaddr_in at4 = {.sin_family = AF_INET};
    socklen_t length = sizeof at, length4 = sizeof at4;
    int no = 0, six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (getrandom(&here->token, sizeof here->token, 0) != sizeof here->token) here->token = (uint64_t)getpid();
    if (six >= 0) {
        setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
        if (bind(six, (struct sockaddr *)&at, sizeof at) == 0 && listen(six, SOMAXCONN) == 0 &&
            getsockname(six, (struct sockaddr *)&at, &length) == 0) {
            find_addresses(here, at.sin6_port, false);
            return six;
        }
        close(six);
    }
    int four = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (four >= 0 && bind(four, (struct sockaddr *)&at4, sizeof at4) == 0 && listen(four, SOMAXCONN) == 0 &&
        getsockname(four, (struct sockaddr *)&at4, &length4) == 0) {
        find_addresses(here, at4.sin_port, true);
        return four;
    }
    if (four >= 0) close(four);
    return -1;
}

static bool poll_until(int socket, short events, double end) {
    struct pollfd one = {.fd = socket, .events = events};
    double left = end - clock_seconds();
    return left > 0 && poll(&one, 1, (int)(left * 1000) + 1) == 1;
}

/* Rank 0 answers a hello that it knows: at its address there may be another machine, which listens for something else.
 */
static bool is_answered(int s, const struct sockaddr *to, hello word, double end) {
    int failed = 0;
    socklen_t length = sizeof failed;
    char answer = 0;
    bool there =
        connect(s, to, size_of(to)) == 0 || (errno == EINPROGRESS && poll_until(s, POLLOUT, end) &&
                                             getsockopt(s, SOL_SOCKET, SO_ERROR, &failed, &length) == 0 && !failed);
    return there && send(s, &word, sizeof word, MSG_NOSIGNAL) == sizeof word && poll_until(s, POLLIN, end) &&
           recv(s, &answer, 1, 0) == 1 && answer == BEAT;
}

/* A connection to one of rank 0's addresses, which share the time, or -1. */
static int connect_to(const place *there, int rank) {
    for (int i = 0; i < there->count; i++) {
        const struct sockaddr *to = (const struct sockaddr *)&there->addresses[i];
        int s = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s < 0) continue;
        if (is_answered(s, to, (hello){there->token, rank}, clock_seconds() + CONNECT_SECONDS / there->count)) return s;
        close(s);
    }
    return -1;
}

/* Takes in those that come, until none is missing or the time is over. A stranger who says nothing has a second. */
static void accept_all(heartbeat *h, int listening, uint64_t token) {
    double end = clock_seconds() + CONNECT_SECONDS + 1;
    int missing = h->count;
    while (missing > 0 && poll_until(listening, POLLIN, end)) {
        hello word = {0};
        link_to *of = NULL;
        char answer = BEAT;
        int s = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (s < 0) continue;
        if (poll_until(s, POLLIN, clock_seconds() + 1) && recv(s, &word, sizeof word, 0) == sizeof word &&
            word.token == token)
            for (int i = 0; i < h->count; i++)
                if (h->links[i].rank == word.rank && h->links[i].socket < 0) of = &h->links[i];
        if (of && send(s, &answer, 1, MSG_NOSIGNAL) == 1)
            of->socket = s, missing--;
        else
            close(s);
    }
}

/* What has come on a link; an end without a goodbye is silence from then on. */
static void hear(link_to *l) {
    char bytes[64];
    ssize_t n = recv(l->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        l->silent = 0;
        l->parted |= memchr(bytes, GOODBYE, (size_t)n) != NULL;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(l->socket);
        l->socket = -1;
    }
}

static void say(const link_to *l, char word) {
    if (l->socket >= 0) send(l->socket, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void *beat(void *context) {
    heartbeat *h = context;
    double next = clock_seconds() + 1;
    for (;;) {
        struct pollfd *all = h->polled;
        for (int i = 0; i < h->count; i++)
            all[i] = (struct pollfd){.fd = h->links[i].parted ? -1 : h->links[i].socket, .events = POLLIN};
        all[h->count] = (struct pollfd){.fd = h->wake[0], .events = POLLIN};
        double left = next - clock_seconds();
        int ready = poll(all, (nfds_t)h->count + 1, left > 0 ? (int)(left * 1000) + 1 : 0);
        if (ready > 0 && all[h->count].revents) break;
        for (int i = 0; i < h->count; i++)
            if (ready > 0 && all[i].revents) hear(&h->links[i]);
        if (clock_seconds() < next) continue;
        next = clock_seconds() + 1; /* one tick, however long this process was stopped */
        for (int i = 0; i < h->count; i++) {
            link_to *l = &h->links[i];
            if (l->parted) continue;
            say(l, BEAT);
            if (++l->silent > h->seconds) {
                h->lost(l->rank, l->host, h->seconds);
                return NULL;
            }
        }
    }
    for (int i = 0; i < h->count; i++) say(&h->links[i], GOODBYE);
    return NULL;
}

static void drop(heartbeat *h) {
    for (int i = 0; i < h->count; i++)
        if (h->links[i].socket >= 0) close(h->links[i].socket);
    for (int i = 0; i < 2; i++)
        if (h->wake[i] >= 0) close(h->wake[i]);
    free(h->polled);
    free(h);
}

/* Links that this process is to have: rank 0 one with each process elsewhere, those one with rank 0. */
static heartbeat *plan(const peers *p, char (*hosts)[HEARTBEAT_HOST]) {
    heartbeat *h = calloc(1, sizeof *h + (size_t)p->count * sizeof *h->links);
    if (!h) return NULL;
    h->polled = calloc((size_t)p->count + 1, sizeof *h->polled);
    if (!h->polled) {
        free(h);
        return NULL;
    }
    h->wake[0] = h->wake[1] = -1;
    for (int i = 0; i < p->count; i++) {
        int other = p->rank == 0 ? i : 0;
        if (strcmp(hosts[other], hosts[p->rank]) == 0 || (p->rank && i)) continue;
        link_to *l = &h->links[h->count++];
        *l = (link_to){.rank = other, .socket = -1};
        memcpy(l->host, hosts[other], sizeof l->host);
    }
    return h;
}

/* Those links that came about. */
static int keep_connected(heartbeat *h) {
    int kept = 0, all = h->count;
    for (int i = 0; i < all; i++)
        if (h->links[i].socket >= 0) h->links[kept++] = h->links[i];
    h->count = kept;
    return all - kept;
}

static bool start(heartbeat *h) {
    sigset_t every, before;
    sigfillset(&every);
    if (pipe2(h->wake, O_CLOEXEC) != 0) return false;
    pthread_sigmask(SIG_SETMASK, &every, &before); /* signals are the program's */
    int failed = pthread_create(&h->thread, NULL, beat, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) errno = failed;
    return failed == 0;
}

/* Every process's machine, in the order of ranks. NULL on failure; the caller frees it. */
static char (*find_hosts(peers *p, error *err))[HEARTBEAT_HOST] {
    char own[HEARTBEAT_HOST] = "", (*hosts)[HEARTBEAT_HOST] = calloc((size_t)p->count, sizeof *hosts);
    gethostname(own, sizeof own - 1);
    if (!hosts) {
        error_memory(err, (size_t)p->count * sizeof *hosts, "the processes' machines");
    } else if (!p->gather(p, own, hosts, sizeof own)) {
        error_set(err, ERROR_RUN, "the %d processes could not tell each other their machines", p->count);
        free(hosts);
        return NULL;
    }
    return hosts;
}

/* Connects this process as planned. */
static bool connect_all(heartbeat *h, peers *p, int *deaf, error *err) {
    place there = {0};
    int listening = p->rank == 0 ? listen_anywhere(&there) : -1;
    bool told = p->tell(p, &there, sizeof there);
    if (told && listening >= 0) accept_all(h, listening, there.token);
    if (told && p->rank && h->count) h->links[0].socket = connect_to(&there, p->rank);
    if (listening >= 0) close(listening);
    *deaf = keep_connected(h);
    return told || error_set(err, ERROR_RUN, "rank 0 could not say where it hears the others' heartbeats");
}

bool heartbeat_open(heartbeat **out, peers *p, int seconds, heartbeat_lost *lost, int *deaf, error *err) {
    char(*hosts)[HEARTBEAT_HOST] = find_hosts(p, err);
    bool several = false;
    *out = NULL, *deaf = 0;
    if (!hosts) return false;
    for (int i = 1; i < p->count; i++) several |= strcmp(hosts[i], hosts[0]) != 0;
    heartbeat *h = several ? plan(p, hosts) : NULL;
    free(hosts);
    if (!several) return true;
    if (!h) return error_memory(err, (size_t)p->count * sizeof *h->links, "the heartbeat between machines");
    bool ok = connect_all(h, p, deaf, err);
    h->seconds = seconds, h->lost = lost;
    if (ok && h->count && !start(h))
        ok = error_set(err, ERROR_RUN, "no thread for the heartbeat between machines: %s", strerror(errno));
    else if (ok && h->count)
        *out = h;
    if (!*out) drop(h);
    return ok;
}

void heartbeat_close(heartbeat *h) {
    if (!h) return;
    close(h->wake[1]);
    h->wake[1] = -1;
    pthread_join(h->thread, NULL);
    drop(h);
}
