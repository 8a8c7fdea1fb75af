/* A bare pickle as a file of arrays: torch.save's older form where it begins with its number, else whatever is in it.
 */
#include "analysis/files/torch.h"

static bool open_pickle(array_box *b, error *err) {
    size_t used = 0;
    pickle *p = pickle_parse(b->bytes, b->size, b->name, &used, err);
    if (!p) return false;
    if (torch_is_legacy(p)) {
        pickle_free(p);
        return torch_open_legacy(b, used, err);
    }
    torch_reader reader = {.storage = NULL}; /* pickle.dump keeps a tensor's storage in the pickle */
    b->pickle = p;
    return pickle_offer(b, pickle_root(p), "", torch_tensor, &reader, err);
}

const array_format array_format_pickle = {.kind = "a pickle", .open = open_pickle};
