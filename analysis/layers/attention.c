#include "analysis/layers/attention.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* With l the logits less the row's largest, p = e^l / Z: −Σ p log p = log Z − Σ e^l·l / Z. */
static double row_entropy(const float *logits, size_t count) {
    double most = -INFINITY, z = 0, weighted = 0;
    for (size_t j = 0; j < count; j++) most = fmax(most, (double)logits[j]);
    for (size_t j = 0; j < count; j++) {
        double l = (double)logits[j] - most, e = exp(l);
        z += e, weighted += e * l;
    }
    return log(z) - weighted / z;
}

/* One image: the sums over heads and tokens, and over heads of the first token. logits (tokens, tokens). */
static void take_image(const float *qkv, size_t tokens, size_t width, size_t heads, float *logits, double out[2]) {
    int t = (int)tokens, each = (int)(width / heads), stride = (int)(3 * width);
    out[0] = out[1] = 0;
    for (size_t h = 0; h < heads; h++) {
        const float *q = qkv + h * (size_t)each, *k = q + width;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, t, each, 1 / sqrtf((float)each), q, stride, k, stride,
                    0, logits, t);
        for (size_t i = 0; i < tokens; i++) {
            double entropy = row_entropy(logits + i * tokens, tokens);
            out[0] += entropy, out[1] += i ? 0 : entropy;
        }
    }
}

/* Images are looked at side by side and added in order, so that threads change no bit. */
bool attention_sums_add(attention_sums *s, const float *qkv, size_t images, size_t tokens, size_t width, size_t heads,
                        error *err) {
    double(*each)[2] = calloc(images + 1, sizeof *each);
    bool ok = each != NULL;
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
    for (size_t i = 0; i < (each ? images : 0); i++) {
        float *logits = malloc(tokens * tokens * sizeof *logits);
        if (logits) take_image(qkv + i * tokens * 3 * width, tokens, width, heads, logits, each[i]);
        ok = ok && logits;
        free(logits);
    }
    for (size_t i = 0; ok && i < images; i++) s->entropy += each[i][0], s->first += each[i][1];
    s->images += images, s->tokens = tokens, s->heads = heads;
    free(each);
    return ok || error_memory(err, tokens * tokens * sizeof(float), "an image's attention");
}

attention_figures attention_sums_end(const attention_sums *s, bool class_token) {
    double rows = (double)s->images * (double)s->heads;
    if (!s->images) return (attention_figures){0};
    return (attention_figures){.images = s->images,
                               .tokens = s->tokens,
                               .heads = s->heads,
                               .entropy = s->entropy / (rows * (double)s->tokens),
                               .entropy_first = class_token ? s->first / rows : (double)NAN,
                               .uniform = log((double)s->tokens)};
}
