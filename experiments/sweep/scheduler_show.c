/*
 * The time left is reckoned from the running runs' own pace and, for those to come, from what an image has cost in the
 * runs already done.
 */
#include "engine/clock.h"
#include "experiments/sweep/scheduler_parts.h"

#include <math.h>

/* ---- Time ---- */

/* Of a run that waits: all of it, but for the epochs of a shorter one that it goes on from; of one that may be stopped
   at a rung, what is to be expected. */
static double to_be_done(const scheduler *s, size_t run) {
    const queue_item *item = &s->queue->items[run];
    double epochs = (double)item->plan->spec.train.epochs, train, eval;
    halving_share(s->plan->halving, run, &train, &eval);
    return train * (epochs > 0 ? item->work * (1 - (double)item->trained / epochs) : item->work);
}

/* The share of a run's training that it is to end this sitting with. */
static double goal_of(const queue_item *item) {
    return item->until ? (double)item->until / (double)item->plan->spec.train.epochs : 1;
}

static double cost_of(const scheduler *s, double work) {
    return s->work_done > 0 ? s->seconds_done / s->work_done * work : NAN;
}

static double job_left(const scheduler *s, const job *j, double now) {
    const queue_item *item = &s->queue->items[j->run];
    double eval = s->evaluations > 0 && !item->until ? s->eval_seconds / s->evaluations : 0, goal = goal_of(item);
    if (j->eval_started > 0) return fmax(0, eval - (now - j->eval_started));
    double gained = j->share - j->first;
    if (gained > 0.01) return (now - j->started) / gained * (goal - j->share) + eval;
    return cost_of(s, item->work) * (goal - j->share);
}

/* Seconds until everything is done, NaN while nothing is known. */
static double time_left(const scheduler *s, double now) {
    double total = 0, longest = 0, known_cost = 0, known_work = 0, work = 0;
    for (int i = 0; i < s->plan->jobs; i++) {
        const job *j = &s->jobs[i];
        if (!j->child.pid) continue;
        double left = job_left(s, j, now);
        total += left;
        longest = fmax(longest, left);
        known_cost += left + now - j->started;
        known_work += s->queue->items[j->run].work * (goal_of(&s->queue->items[j->run]) - j->first);
    }
    for (size_t i = 0; i < s->queue->sweep.count; i++)
        if (s->fates[i] == WAITING) work += to_be_done(s, i);
    double cost = cost_of(s, work);
    if (work > 0) total += isfinite(cost) ? cost : known_cost / known_work * work;
    return fmax(total / s->plan->jobs, longest);
}

/* ---- The line ---- */

/* "[14/16] 12 min left in all   codes-256 seed-0   epoch 3/20   loss 7.91": a narrow terminal cuts off what matters
 * least.
 */
void scheduler_show(scheduler *s) {
    double now = clock_seconds();
    if (!s->terminal->live && now - s->said < 60) return;
    const job *first = NULL;
    int running = 0;
    for (int i = 0; i < s->plan->jobs; i++)
        if (s->jobs[i].child.pid && running++ == 0) first = &s->jobs[i];
    if (!first) return;
    char label[RUN_ID_SIZE], doing[128], left[32], more[32] = "", line[512];
    queue_label(&s->queue->items[first->run], label);
    double seconds = time_left(s, now);
    bool known = isfinite(seconds) && seconds >= 0;
    if (known) terminal_duration(seconds, left);
    snprintf(doing, sizeof doing, "%s", first->doing);
    if (!*first->doing)
        snprintf(doing, sizeof doing, "epoch %u/%u   loss %.4f",
                 first->epoch < first->epochs ? first->epoch + 1 : first->epochs, first->epochs, first->loss);
    if (running > 1) snprintf(more, sizeof more, "   (and %d more)", running - 1);
    snprintf(line, sizeof line, "[%zu/%zu] %s%s   %s   %s%s", first->run + 1, s->queue->sweep.count,
             s->stopping ? "stopping at the next step"
             : known     ? left
                         : "estimating",
             s->stopping || !known ? "" : " left in all", label, doing, more);
    if (s->terminal->live)
        terminal_status(s->terminal, false, "%s", line);
    else
        terminal_line(s->terminal, "%s", line);
    s->said = now;
}
