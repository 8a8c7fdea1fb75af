/* Importers of files: the built-in drawings come first. */
#include "engine/data/import.h"
bool cifar_import(importer *im, error *err) { return error_set(err, ERROR_USAGE, "%s: not read yet", im->path); }
bool folder_import(importer *im, error *err) { return error_set(err, ERROR_USAGE, "%s: not read yet", im->path); }
int dataset_guess(const char *path, error *err) {
    error_set(err, ERROR_USAGE, "%s: not read yet", path);
    return -1;
}
