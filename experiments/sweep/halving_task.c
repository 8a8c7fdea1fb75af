/*
 * Halving by tasks that know nothing of each other: a rung's tasks begin when those of the rung before are over, and
 * each decides by the records alone, as a sweep does that watches all of its runs. What such a sweep sees fail is here
 * what never came to its rung.
 */
#include "experiments/sweep/halving_parts.h"

#include <time.h>

static size_t rungs_of(const halving *h, size_t run) {
    return h->groups[h->settings[h->runs[run].setting].group].how->count;
}

size_t halving_rungs(const halving *h, size_t run) { return h && h->runs[run].halved ? rungs_of(h, run) : 0; }

bool halving_leads_to(const halving *h, size_t run, size_t rung) {
    size_t rungs = halving_rungs(h, run);
    if (!rungs || rung > rungs + 1) return false;
    return rung == rungs + 1 || (!h->runs[run].over && !h->runs[run].rungs[rung - 1].there);
}

/* Whether a run has yet to come to one of the first `rungs`. */
static bool is_behind(const halving *h, size_t run, size_t rungs) {
    const halved_run *r = &h->runs[run];
    bool behind = false;
    for (size_t k = 0; r->halved && !r->over && k < rungs && k < rungs_of(h, run); k++) behind |= !r->rungs[k].there;
    return behind;
}

static bool wait_for(const queue *q, size_t run, const volatile sig_atomic_t *interrupted) {
    const struct timespec second = {.tv_sec = 1};
    while (!*interrupted && run_is_held(q->items[run].folder)) nanosleep(&second, NULL);
    return !*interrupted;
}

bool halving_ask(halving *h, queue *q, size_t run, size_t rung, const volatile sig_atomic_t *interrupted,
                 halving_task *found) {
    for (size_t i = 0; i < h->count; i++) {
        if (!is_behind(h, i, rung - 1)) continue;
        if (!wait_for(q, i, interrupted)) return false;
        halving_look(h, q, i, HALVING_ON);
        if (is_behind(h, i, rung - 1)) halving_look(h, q, i, HALVING_FAILED);
    }
    halving_judge(h, q);
    const halved_run *own = &h->runs[run];
    const contender *s = &h->settings[own->setting];
    if (q->items[run].stopped)
        *found = own->rungs[s->rung - 1].there || !own->failed ? HALVING_STOPS : HALVING_IS_LOST;
    else if (q->items[run].waits || (rung <= rungs_of(h, run) && (own->over || own->rungs[rung - 1].there)))
        *found = HALVING_WAITS;
    else
        *found = HALVING_TRAINS;
    return true;
}
