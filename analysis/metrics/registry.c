#include "analysis/metrics/list.h"
#include "analysis/metrics/metric.h"

#include <string.h>

#define X(name) extern const metric metric_##name;
METRICS(X)
#undef X

static const metric *const all[] = {
#define X(name) &metric_##name,
    METRICS(X)
#undef X
};
enum { COUNT = sizeof all / sizeof *all };

const metric *metric_at(int index) { return index < COUNT ? all[index] : NULL; }

const metric *metric_find(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}
