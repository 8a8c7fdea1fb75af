/*
 * A seal: a file says of itself what its bytes are. Somewhere in its JSON stands "sha256": "<64 digits>", the SHA-256
 * of the whole file with those digits taken as zeros. So any bit that turns, the seal's own included, is seen, and the
 * file stays what it was to other programs.
 */
#ifndef MEWS_SEAL_H
#define MEWS_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#define SEAL_KEY "sha256"
/* What a writer puts under SEAL_KEY where the digits are to stand. */
#define SEAL_BLANK "0000000000000000000000000000000000000000000000000000000000000000"

typedef enum seal_state { SEAL_NONE, SEAL_SOUND, SEAL_BROKEN } seal_state;

/* Seals a file about to be written: `json` (which holds the blank) is its first part after `head`, `rest` follows. The
 * digits are written into `json`. Returns false when there is no blank. */
typedef struct seal_bytes {
    const void *data;
    size_t size;
} seal_bytes;
bool seal_write(seal_bytes head, char *json, size_t size, const seal_bytes *rest, size_t count);

/* Judges a whole file; `json_at` and `json_size` are where its JSON lies in it. */
seal_state seal_check(const void *file, size_t size, size_t json_at, size_t json_size);

#endif
