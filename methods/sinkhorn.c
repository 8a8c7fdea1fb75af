#include "methods/sinkhorn.h"

tensor *sinkhorn_knopp(tape *t, tensor *log_q, int64_t iterations) {
    for (int64_t i = 0; i < iterations; i++) {
        log_q = op_sub(t, log_q, op_batch_logmeanexp(t, log_q)); /* prototypes share the samples alike */
        log_q = op_log_softmax(t, log_q);                        /* a sample's shares sum to 1 */
    }
    return log_q;
}
