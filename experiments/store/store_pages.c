/*
 * The checksums of pages, as a VFS: SQLite's own seam to the file system (sqlite.org/vfs.html). Everything goes on to
 * the default VFS; only reads and writes of the database itself (not of its journal) are looked at. Whether a file
 * carries checksums stands in its header, whose byte 20 counts the bytes kept free at each page's end; the store
 * refuses a file of its schema that says otherwise, so that a bit of that byte hides nothing either.
 */
#include "experiments/store/store_pages.h"

#include <string.h>
#include <zlib.h>

enum {
    HEADER = 100, /* bytes of the file's header, which SQLite also reads by itself */
    KEPT = 8,     /* of each page: CRC-32 and number, big-endian */
    AT_KEPT = 20,
    AT_SIZE = 16,
};

static const char name[] = "mews-pages";

/* An open database; the default VFS's own file lies behind it. */
typedef struct file {
    sqlite3_file base;
    sqlite3_file *real;
    bool checked;
    int page; /* bytes */
} file;

static sqlite3_file *real_of(sqlite3_file *f) { return ((file *)f)->real; }

/* ---- Pages ---- */

static void put(unsigned char *out, unsigned long number) {
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(number >> 8 * (3 - i) & 0xFF);
}

static void seal_of(const unsigned char *page, int size, sqlite3_int64 at, unsigned char out[KEPT]) {
    unsigned char number[4];
    put(number, (unsigned long)(at / size + 1));
    unsigned long sum = crc32(crc32(0, number, sizeof number), page, (uInt)(size - KEPT));
    put(out, sum), memcpy(out + 4, number, sizeof number);
}

static bool is_sound(const unsigned char *page, int size, sqlite3_int64 at) {
    unsigned char seal[KEPT];
    seal_of(page, size, at, seal);
    return memcmp(seal, page + size - KEPT, KEPT) == 0;
}

/* What the header says, whenever it passes. */
static void learn(file *f, const unsigned char *header) {
    int size = header[AT_SIZE] << 8 | header[AT_SIZE + 1];
    f->page = size == 1 ? 65536 : size;
    f->checked = memcmp(header, "SQLite format 3", 16) == 0 && header[AT_KEPT] == KEPT && f->page > HEADER;
}

/* A read that is no whole page: the page, or the pages, that it lies in are read for it. */
static int read_around(file *f, int size, sqlite3_int64 at) {
    int code = SQLITE_OK;
    unsigned char *page = sqlite3_malloc(f->page);
    if (!page) return SQLITE_IOERR_NOMEM;
    for (sqlite3_int64 p = at - at % f->page; code == SQLITE_OK && p < at + size; p += f->page) {
        code = f->real->pMethods->xRead(f->real, page, f->page, p);
        if (code == SQLITE_IOERR_SHORT_READ || (code == SQLITE_OK && !is_sound(page, f->page, p)))
            code = SQLITE_IOERR_DATA;
    }
    sqlite3_free(page);
    return code;
}

static int read_pages(sqlite3_file *base, void *out, int size, sqlite3_int64 at) {
    file *f = (file *)base;
    int code = f->real->pMethods->xRead(f->real, out, size, at);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return code;
    if (at == 0 && size >= HEADER) learn(f, out);
    if (!f->checked || at + size <= HEADER) return code; /* the first page is read whole before anything is believed */
    if (code == SQLITE_IOERR_SHORT_READ) return SQLITE_IOERR_DATA;
    if (size != f->page || at % size != 0) return read_around(f, size, at);
    return is_sound(out, size, at) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

static int write_pages(sqlite3_file *base, const void *data, int size, sqlite3_int64 at) {
    file *f = (file *)base;
    unsigned char seal[KEPT];
    if (at == 0 && size >= HEADER) learn(f, data);
    if (!f->checked || size != f->page || at % size != 0) return f->real->pMethods->xWrite(f->real, data, size, at);
    seal_of(data, size, at, seal);
    int code = f->real->pMethods->xWrite(f->real, data, size - KEPT, at);
    return code == SQLITE_OK ? f->real->pMethods->xWrite(f->real, seal, KEPT, at + size - KEPT) : code;
}

/* ---- Everything else goes on to the default VFS ---- */

static int close_it(sqlite3_file *f) { return real_of(f)->pMethods->xClose(real_of(f)); }
static int truncate_it(sqlite3_file *f, sqlite3_int64 n) { return real_of(f)->pMethods->xTruncate(real_of(f), n); }
static int sync_it(sqlite3_file *f, int flags) { return real_of(f)->pMethods->xSync(real_of(f), flags); }
static int size_of(sqlite3_file *f, sqlite3_int64 *n) { return real_of(f)->pMethods->xFileSize(real_of(f), n); }
/* Since this one opened it, others may have made an empty file one that carries checksums, and died in the middle of
 * more: their journal is played back right after the first lock, before any page is read. What it holds are pages as
 * they lay in memory, whose seals are those of whatever stood there before, or none: they are sealed as they are
 * written. */
static int lock_it(sqlite3_file *base, int level) {
    file *f = (file *)base;
    unsigned char header[HEADER];
    int code = f->real->pMethods->xLock(f->real, level);
    if (code != SQLITE_OK || level != SQLITE_LOCK_SHARED) return code;
    int read = f->real->pMethods->xRead(f->real, header, HEADER, 0);
    if (read == SQLITE_OK || read == SQLITE_IOERR_SHORT_READ) learn(f, header); /* what is short is filled with zeros */
    return code;
}

static int unlock_it(sqlite3_file *f, int level) { return real_of(f)->pMethods->xUnlock(real_of(f), level); }
static int reserved(sqlite3_file *f, int *out) { return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out); }
static int control(sqlite3_file *f, int what, void *with) {
    return real_of(f)->pMethods->xFileControl(real_of(f), what, with);
}
static int sector_size(sqlite3_file *f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); }
static int traits(sqlite3_file *f) { return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f)); }

/* Version 1: without shared memory (no WAL here) and without mapped pages, which nobody would look at. */
static const sqlite3_io_methods *methods(void) {
    static const sqlite3_io_methods all = {
        .iVersion = 1,
        .xClose = close_it,
        .xRead = read_pages,
        .xWrite = write_pages,
        .xTruncate = truncate_it,
        .xSync = sync_it,
        .xFileSize = size_of,
        .xLock = lock_it,
        .xUnlock = unlock_it,
        .xCheckReservedLock = reserved,
        .xFileControl = control,
        .xSectorSize = sector_size,
        .xDeviceCharacteristics = traits,
    };
    return &all;
}

static int open_it(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out) {
    sqlite3_vfs *real = vfs->pAppData;
    if (!(flags & SQLITE_OPEN_MAIN_DB)) return real->xOpen(real, path, base, flags, out);
    file *f = (file *)base;
    *f = (file){.real = (sqlite3_file *)(f + 1)};
    int code = real->xOpen(real, path, f->real, flags, out);
    if (f->real->pMethods) base->pMethods = methods();
    return code;
}

const char *store_pages_vfs(void) {
    if (sqlite3_vfs_find(name)) return name;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL), *own = real ? sqlite3_malloc(sizeof *own) : NULL;
    if (!own) return NULL;
    *own = *real;
    own->zName = name, own->pAppData = real, own->pNext = NULL, own->xOpen = open_it;
    own->szOsFile = (int)sizeof(file) + real->szOsFile;
    return sqlite3_vfs_register(own, 0) == SQLITE_OK ? name : NULL; /* SQLite keeps it for as long as it lives */
}

bool store_pages_carry(sqlite3 *db) {
    file *f = NULL;
    sqlite3_int64 size = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || !f) return false;
    if (f->base.pMethods != methods()) return true; /* in memory */
    return f->checked || (size_of(&f->base, &size) == SQLITE_OK && size == 0);
}

bool store_pages_ask(sqlite3 *db) {
    int kept = KEPT;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &kept) == SQLITE_OK;
}
