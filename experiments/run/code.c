#include "experiments/run/code.h"
#include "engine/files/checksum.h"

#include <stdio.h>
#include <string.h>

static const char *digest_of(const char *name) {
    for (const code_part *p = code_parts; p->name; p++)
        if (strcmp(p->name, name) == 0) return p->digest;
    return "unknown"; /* a method that was linked in from elsewhere */
}

json_t *code_of(const char *method) {
    return json_pack("{s:s, s:s, s:s}", "engine", digest_of("engine"), "method", digest_of(method), "loop",
                     digest_of("loop"));
}

void code_word(const char *method, char out[65]) {
    char all[256];
    int length = snprintf(all, sizeof all, "%s %s %s", digest_of("engine"), digest_of(method), digest_of("loop"));
    checksum_sha256(all, (size_t)length, out);
    out[16] = '\0';
}

const char *code_difference(const json_t *record, const char *method) {
    static const char *const parts[] = {"engine", "method", "loop"};
    static const char *const words[] = {NULL,   "engine",          "method",          "engine and method",
                                        "loop", "engine and loop", "method and loop", "engine, method and loop"};
    const json_t *was = json_object_get(record, "code"), *accepted = json_object_get(record, "accepted_code");
    if (!was && !accepted) return "a version that did not note its code";
    json_t *is = code_of(method);
    unsigned differ = 0;
    for (unsigned i = 0; i < 3 && !json_equal(accepted, is); i++)
        if (!json_equal(json_object_get(was, parts[i]), json_object_get(is, parts[i]))) differ |= 1u << i;
    json_decref(is);
    return words[differ];
}
