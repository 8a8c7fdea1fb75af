/*
 * mews: the program. Finds the command, hands it its arguments, prints the one error there may be, and ends with the
 * code that goes with it: 0 done, 1 failed while running, 2 a bad command or spec, 3 a collapse that was asked about,
 * 130 interrupted. What signals do stands in stopping.h.
 */
#include "engine/heartbeat.h"
#include "engine/isa.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/threads.h"
#include "experiments/commands/command_help.h"
#include "experiments/commands/start.h"
#include "experiments/commands/stopping.h"
#include "experiments/run/train.h"
#include "engine/version.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Processes that were started together part only when all of them are through: rank 0 may still have to be heard. One
 * that failed by itself ends the others, who would wait for it. */
static void part(peers *p, bool trained, const error *err) {
    if (!p) return;
    bool alone = p->broken || (p->rank && err->code != ERROR_NONE && (trained || err->code != ERROR_USAGE));
    if (p->rank == 0 && trained) train_end_followers(p);
    if (alone) {
        if (err->code != ERROR_NONE) fprintf(stderr, "mews: rank %d of %d: %s\n", p->rank, p->count, err->text);
        p->abort(p, err->code ? (int)err->code : EXIT_FAILURE);
    }
    peers_close(p);
}

/* On the heartbeat's thread, while this one waits within MPI for what will never come: there is no other way out. */
static void end_without(int rank, const char *host, int seconds) {
    fprintf(
        stderr,
        "mews: nothing has been heard of rank %d on %s for %d seconds: it ended, or the link to it is cut; the last "
        "checkpoint stands, the same command goes on, also with another number of processes\n",
        rank, host, seconds);
    _exit(ERROR_RUN);
}

/* MEWS_HEARTBEAT=SECONDS, 0 for none. */
static bool watch_machines(heartbeat **out, peers *p, error *err) {
    const char *given = getenv("MEWS_HEARTBEAT");
    char *end = NULL;
    long seconds = given ? strtol(given, &end, 10) : HEARTBEAT_SECONDS;
    int deaf = 0;
    if (!p) return true;
    if (given && (end == given || *end || seconds < 0 || seconds > 86400))
        return error_set(err, ERROR_USAGE, "MEWS_HEARTBEAT=%.40s: expected seconds, 0 for none", given);
    if (seconds == 0) return true;
    bool ok = heartbeat_open(out, p, (int)seconds, end_without, &deaf, err);
    if (!ok) p->broken = true;
    if (ok && deaf && p->rank == 0)
        fprintf(
            stderr,
            "mews: warning: %d processes on other machines cannot reach rank 0 but by MPI: if a link is cut, nothing "
            "says so before MPI does\n",
            deaf);
    return ok;
}

static int run_command(int argc, char **argv, error *err) {
    arguments args;
    command_context context = {.interrupted = stopping_flag()};
    if (!peers_open(&context.peers, err)) return err->code;
    bool train = strcmp(argv[1], "train") == 0, silent = context.peers && context.peers->rank && !train;
    if (context.peers && !train && strcmp(argv[1], "bench") != 0) {
        peers_close(context.peers);
        error_set(err, ERROR_USAGE,
                  "only `mews train` and `mews bench peers` run as several processes; start `mews %.40s` by itself",
                  argv[1]);
        if (silent) exit(err->code); /* one of them says so */
        return err->code;
    }
    heartbeat *machines = NULL;
    bool ready = watch_machines(&machines, context.peers, err);
    const command *found = ready ? help_find_command(argv[1], err) : NULL;
    if (found && arguments_parse(&args, found->name, &found->rules, argc - 2, argv + 2, err)) {
        if (found->go_on) stopping_catch(found->go_on);
        if (args.help)
            help_print_command(stdout, found);
        else
            found->run(&context, &args, err);
    }
    bool told = fflush(stdout) == 0 && !ferror(stdout);
    if (!told && !stopping_pipe_is_broken()) error_set(err, ERROR_RUN, "cannot write to standard output");
    heartbeat_close(machines);
    part(context.peers, train, err);
    if (silent && err->code != ERROR_NONE) exit(err->code); /* a mistake that all have seen */
    return err->code;
}

/* Who closed standard error must not find its words in the next file that is opened. */
static void fill_standard_files(void) {
    for (int file = 0; file <= 2; file++)
        if (fcntl(file, F_GETFD) < 0 && errno == EBADF) open("/dev/null", file == 0 ? O_RDONLY : O_WRONLY);
}

/* JSON is built in hundreds of places, a few bytes at a time. Where there is no room even for these, the program ends
 * at once, as if it had been killed: what is on the disk withstands that, and a figure left out would go unnoticed. */
static void *json_room(size_t size) {
    void *room = malloc(size);
    if (room) return room;
    dprintf(STDERR_FILENO, "mews: out of memory: JSON needs %zu bytes more\n", size);
    _exit(ERROR_RUN);
}

int main(int argc, char **argv) {
    fill_standard_files();
    json_set_alloc_funcs(json_room, free);
    start_settle(argv);
    signal(SIGXFSZ, SIG_IGN); /* a file over the user's limit is then an error of write(), like a full disk */
    error err = {0};
    if (argc < 2) {
        help_print_usage(stderr);
        return ERROR_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("mews %s\n", MEWS_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print_usage(stdout);
        return EXIT_SUCCESS;
    }
    bool ready = isa_choose(&err) && threads_use(0, &err) && room_take_blas(threads_in_use(), &err);
    int code = ready ? run_command(argc, argv, &err) : err.code;
    if (code != ERROR_NONE) fprintf(stderr, "mews: %s\n", err.text);
    return code;
}
