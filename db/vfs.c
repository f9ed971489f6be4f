/*
 * The layer: each open file is ours with SQLite's behind it; only a WAL's writes are looked at.
 *
 * A WAL is gathered (write_wal) and, where each commit is synced, kept longer than it is (grow_ahead).
 */
#include "db/vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JOINED_BYTES 0x1ffff       /* SQLite's layer for Unix masks a write's length with it */
#define WAL_HEAD_BYTES 32
#define FRAME_HEAD_BYTES 24
#define GROWN_BYTES (1 << 20)
#define LAYER_NAME "forkful"

struct joined_file {
    sqlite3_file base;
    bool is_wal;
    bool commits;              /* the frame being written does */
    bool synced;               /* nothing was written since */
    int64_t page_bytes;        /* 0: not known yet */
    int64_t length;            /* of the file, as far as it was written or grown by us */
    int64_t end;               /* of the last frame appended; before it frames are rewritten */
    int64_t start;             /* of what is gathered, in the file */
    int used;
    char *bytes;               /* JOINED_BYTES; NULL: not needed so far */
    sqlite3_file behind[];     /* SQLite's own */
};

static struct joined_file *joined(sqlite3_file *file)
{
    return (struct joined_file *)file;
}

static sqlite3_file *behind(sqlite3_file *file)
{
    return joined(file)->behind;
}

/*
 * To sync a file that has become longer takes the file system a commit of its own journal, and about
 * twice as long as to sync one that is written in place. So a WAL that is synced commit by commit gets
 * zeros ahead of its end. Read as a frame they are none: page 0, and not this WAL's salt. They come
 * after what is to be written, so that the last room is its; without room for them the file grows as
 * it would have.
 */
static void grow_ahead(struct joined_file *file, int64_t end)
{
    static const char zeros[1 << 16];
    int code = SQLITE_OK;
    for (int64_t at = end; at < end + GROWN_BYTES && code == SQLITE_OK; at += (int)sizeof zeros) {
        code = file->behind->pMethods->xWrite(file->behind, zeros, (int)sizeof zeros, at);
        file->length = code == SQLITE_OK ? at + (int)sizeof zeros : file->length;
    }
}

static int write_behind(struct joined_file *file, const void *data, int bytes, int64_t at)
{
    int64_t end = at + bytes;
    int code = file->behind->pMethods->xWrite(file->behind, data, bytes, at);
    if (code == SQLITE_OK && end > file->length) {
        file->length = end;
        if (file->is_wal && file->synced && at > WAL_HEAD_BYTES) { /* its head is always synced */
            grow_ahead(file, end);
        }
    }
    file->synced = false;
    return code;
}

/* What cannot be written is forgotten: it belongs to a transaction that now fails. */
static int write_gathered(struct joined_file *file)
{
    int used = file->used;
    file->used = 0;
    return used ? write_behind(file, file->bytes, used, file->start) : SQLITE_OK;
}

/* False: it does not follow what is there, or there is no room. */
static bool gather(struct joined_file *file, const void *data, int bytes, int64_t at)
{
    if (!file->bytes && !(file->bytes = malloc(JOINED_BYTES))) {
        return false;
    }
    if (file->used == 0) {
        file->start = at;
    }
    if (at != file->start + file->used || bytes > JOINED_BYTES - file->used) {
        return false;
    }
    memcpy(file->bytes + file->used, data, (size_t)bytes);
    file->used += bytes;
    return true;
}

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The head of a WAL tells the size of its pages. */
static void learn_page_bytes(struct joined_file *file, const void *data, int bytes, int64_t at)
{
    if (at == 0 && bytes >= WAL_HEAD_BYTES) {
        file->page_bytes = big_endian((const unsigned char *)data + 8);
    }
}

static bool is_frame_head(const struct joined_file *file, int bytes, int64_t at)
{
    return bytes == FRAME_HEAD_BYTES && at >= WAL_HEAD_BYTES && file->page_bytes > 0 &&
           (at - WAL_HEAD_BYTES) % (file->page_bytes + FRAME_HEAD_BYTES) == 0;
}

/* Gathers until the page of a frame that commits has come; the file's head and what has no room pass by. */
static int write_wal(struct joined_file *file, const void *data, int bytes, int64_t at)
{
    learn_page_bytes(file, data, bytes, at);
    bool head = is_frame_head(file, bytes, at);
    if (head) {
        file->commits = big_endian((const unsigned char *)data + 4) != 0;
    }
    if (at == 0) {
        file->end = WAL_HEAD_BYTES;
    }
    if (file->page_bytes > 0 && at >= file->end && gather(file, data, bytes, at)) {
        file->end = at + bytes;
        return file->commits && !head ? write_gathered(file) : SQLITE_OK;
    }
    int code = write_gathered(file);
    return code == SQLITE_OK ? write_behind(file, data, bytes, at) : code;
}

static int joined_write(sqlite3_file *base, const void *data, int bytes, sqlite3_int64 at)
{
    struct joined_file *file = joined(base);
    return file->is_wal ? write_wal(file, data, bytes, at) : write_behind(file, data, bytes, at);
}

static int joined_read(sqlite3_file *base, void *data, int bytes, sqlite3_int64 at)
{
    struct joined_file *file = joined(base);
    int code = write_gathered(file);
    if (code == SQLITE_OK) {
        code = file->behind->pMethods->xRead(file->behind, data, bytes, at);
    }
    if (code == SQLITE_OK && file->is_wal) {
        learn_page_bytes(file, data, bytes, at);
    }
    return code;
}

static int joined_truncate(sqlite3_file *base, sqlite3_int64 bytes)
{
    int code = write_gathered(joined(base));
    joined(base)->length = bytes;
    return code == SQLITE_OK ? behind(base)->pMethods->xTruncate(behind(base), bytes) : code;
}

static int joined_sync(sqlite3_file *base, int flags)
{
    int code = write_gathered(joined(base));
    joined(base)->synced = true;
    return code == SQLITE_OK ? behind(base)->pMethods->xSync(behind(base), flags) : code;
}

static int joined_size(sqlite3_file *base, sqlite3_int64 *bytes)
{
    int code = write_gathered(joined(base));
    return code == SQLITE_OK ? behind(base)->pMethods->xFileSize(behind(base), bytes) : code;
}

/* What is gathered here was not committed. */
static int joined_close(sqlite3_file *base)
{
    free(joined(base)->bytes);
    joined(base)->bytes = NULL;
    return behind(base)->pMethods->xClose(behind(base));
}

/* ---- the rest goes through ---- */

static int joined_lock(sqlite3_file *base, int level)
{
    return behind(base)->pMethods->xLock(behind(base), level);
}

static int joined_unlock(sqlite3_file *base, int level)
{
    return behind(base)->pMethods->xUnlock(behind(base), level);
}

static int joined_check_reserved_lock(sqlite3_file *base, int *reserved)
{
    return behind(base)->pMethods->xCheckReservedLock(behind(base), reserved);
}

static int joined_file_control(sqlite3_file *base, int operation, void *argument)
{
    return behind(base)->pMethods->xFileControl(behind(base), operation, argument);
}

static int joined_sector_size(sqlite3_file *base)
{
    return behind(base)->pMethods->xSectorSize(behind(base));
}

static int joined_device_characteristics(sqlite3_file *base)
{
    return behind(base)->pMethods->xDeviceCharacteristics(behind(base));
}

static int joined_shm_map(sqlite3_file *base, int page, int bytes, int extend, void volatile **at)
{
    return behind(base)->pMethods->xShmMap(behind(base), page, bytes, extend, at);
}

static int joined_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    return behind(base)->pMethods->xShmLock(behind(base), offset, count, flags);
}

static void joined_shm_barrier(sqlite3_file *base)
{
    behind(base)->pMethods->xShmBarrier(behind(base));
}

static int joined_shm_unmap(sqlite3_file *base, int delete)
{
    return behind(base)->pMethods->xShmUnmap(behind(base), delete);
}

/* Version 2: with shared memory, without mapped pages (mmap_size stays 0). */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = joined_close,
    .xRead = joined_read,
    .xWrite = joined_write,
    .xTruncate = joined_truncate,
    .xSync = joined_sync,
    .xFileSize = joined_size,
    .xLock = joined_lock,
    .xUnlock = joined_unlock,
    .xCheckReservedLock = joined_check_reserved_lock,
    .xFileControl = joined_file_control,
    .xSectorSize = joined_sector_size,
    .xDeviceCharacteristics = joined_device_characteristics,
    .xShmMap = joined_shm_map,
    .xShmLock = joined_shm_lock,
    .xShmBarrier = joined_shm_barrier,
    .xShmUnmap = joined_shm_unmap,
};

static int open_joined(sqlite3_vfs *layer, sqlite3_filename name, sqlite3_file *base, int flags,
                       int *out_flags)
{
    sqlite3_vfs *parent = layer->pAppData;
    struct joined_file *file = joined(base);
    *file = (struct joined_file){ .is_wal = (flags & SQLITE_OPEN_WAL) != 0 };
    int code = parent->xOpen(parent, name, file->behind, flags, out_flags);
    if (!file->behind->pMethods) {
        return code;
    }
    base->pMethods = &methods; /* SQLite closes what has methods, also after a failed opening */
    sqlite3_int64 length = 0;
    if (code == SQLITE_OK && file->is_wal) {
        code = file->behind->pMethods->xFileSize(file->behind, &length);
    }
    file->length = length;
    return code;
}

/* A copy of the default layer with another xOpen: its other methods know nothing of files that are open. */
static sqlite3_vfs layer;
static bool registered;

static void register_layer(void)
{
    sqlite3_vfs *parent = sqlite3_vfs_find(NULL);
    if (!parent) {
        return;
    }
    layer = *parent;
    layer.zName = LAYER_NAME;
    layer.pNext = NULL;
    layer.pAppData = parent;
    layer.szOsFile = (int)sizeof(struct joined_file) + parent->szOsFile;
    layer.xOpen = open_joined;
    registered = sqlite3_vfs_register(&layer, 0) == SQLITE_OK;
}

const char *db_vfs_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_layer);
    return registered ? LAYER_NAME : NULL;
}
