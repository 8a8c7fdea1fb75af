/*
 * The two shapes that methods use: half a cosine (a teacher's momentum, weight decay, the learning rate) and a straight
 * warm-up as numpy.linspace counts it (the teacher's temperature).
 */
#include "engine/schedule.h"

#include <math.h>

double schedule_cosine(double from, double to, uint64_t step, uint64_t steps) {
    if (step >= steps) return to;
    return to - (to - from) * 0.5 * (1 + cos(3.14159265358979323846 * (double)step / (double)steps));
}

double schedule_linear(double from, double to, uint64_t i, uint64_t count) {
    if (i >= count) return to;
    return count > 1 ? from + (to - from) * (double)i / (double)(count - 1) : from;
}
