/*
 * Appenders: found, loaded, told about, forgotten. log_build.c fills their chunks.
 *
 * The invariant that makes rollback simple: what an appender knows is what its rows say, plus
 * what this transaction has added. So after a rollback it is forgotten and loaded again.
 */
#include "db/log_store.h"

#include <stdlib.h>
#include <string.h>

#include "db/statement.h"

/* ---- making and finding ---- */

static int largest_process(struct db *db, int64_t *out)
{
    static const char sql[] = "SELECT max(ifnull((SELECT max(process) FROM chunk), 0),"
                              " ifnull((SELECT max(process) FROM log_start), 0))";
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

struct log_store *log_store_new(struct db *db, int *code)
{
    struct log_store *store = calloc(1, sizeof *store);
    if (!store) {
        *code = SQLITE_NOMEM;
        return NULL;
    }
    store->db = db;
    store->total = store->committed_total = (uint64_t)db_meta_get(db, DB_LOGS, "log_bytes");
    *code = largest_process(db, &store->known_process);
    store->committed_known_process = store->known_process;
    if (*code == SQLITE_OK) {
        return store;
    }
    free(store);
    return NULL;
}

static void appender_free(struct log_appender *appender)
{
    log_bytes_free(&appender->bytes);
    log_carry_free(&appender->carry);
    free(appender);
}

void log_store_free(struct log_store *store)
{
    if (!store) {
        return;
    }
    for (size_t i = 0; i < LOG_STORE_SLOTS; i++) {
        for (struct log_appender *at = store->slots[i], *next; at; at = next) {
            next = at->next;
            appender_free(at);
        }
    }
    log_bytes_free(&store->spare);
    free(store);
}

static struct log_appender **slot_of(struct log_store *store, int64_t process)
{
    return &store->slots[(uint64_t)process % LOG_STORE_SLOTS];
}

static struct log_appender *find(struct log_store *store, int64_t process)
{
    struct log_appender *at = *slot_of(store, process);
    while (at && at->process != process) {
        at = at->next;
    }
    return at;
}

static void touch(struct log_store *store, struct log_appender *appender)
{
    appender->used = store->transaction;
    if (appender->touched) {
        return;
    }
    appender->touched = true;
    appender->next_touched = store->touched;
    store->touched = appender;
}

/* Where the log ends, from its last chunk, or from log_start when all chunks are gone. */
static int load_end(struct db *db, struct log_appender *appender, struct log_start *start)
{
    int code = log_chunk_last(db, appender->process, &appender->chunk);
    if (code == SQLITE_DONE) {
        appender->end = start->place;
        appender->carry = start->carry;
        appender->carry.known = appender->carry.known || log_open_bytes(&start->place) == 0;
        start->carry = (struct log_carry){ 0 };
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) {
        return code;
    }
    appender->row_stored = log_chunk_stored(&appender->chunk);
    code = log_chunk_end(db, &appender->chunk, &appender->end);
    appender->carry.known = log_open_bytes(&appender->end) == 0;
    return code;
}

static int load(struct log_store *store, struct log_appender *appender)
{
    appender->stale = false;
    appender->first = appender->end = (struct log_place){ .next_seq = 1 };
    appender->carry.known = true;
    appender->unkeyed = UINT32_MAX; /* not known: the next chunk that needs a carry gets it */
    if (appender->process > store->known_process) {
        store->known_process = appender->process;
        return SQLITE_OK;
    }
    struct log_start start;
    int code = log_start_get(store->db, appender->process, &start);
    appender->first = start.place;
    appender->trimmed_ever = start.trimmed_bytes;
    if (code == SQLITE_OK) {
        code = load_end(store->db, appender, &start);
    }
    log_start_free(&start);
    appender->stale = code != SQLITE_OK;
    return code;
}

struct log_appender *log_store_get(struct log_store *store, int64_t process, int *code)
{
    struct log_appender *appender = find(store, process);
    *code = SQLITE_OK;
    if (!appender) {
        appender = calloc(1, sizeof *appender);
        if (!appender) {
            *code = SQLITE_NOMEM;
            return NULL;
        }
        struct log_appender **slot = slot_of(store, process);
        appender->process = process;
        appender->stale = true;
        appender->next = *slot;
        *slot = appender;
    }
    touch(store, appender);
    if (appender->stale) {
        *code = load(store, appender);
    }
    return *code == SQLITE_OK ? appender : NULL;
}

/* ---- the end of a transaction ---- */

uint64_t log_store_total(const struct log_store *store)
{
    return store->total;
}

void log_store_count(struct log_store *store, uint64_t added, uint64_t removed)
{
    uint64_t total = store->total + added;
    store->total = total > removed ? total - removed : 0;
}

int log_store_flush(struct log_store *store)
{
    int code = log_store_close_all(store);
    for (struct log_appender *at = store->touched; at && code == SQLITE_OK; at = at->next_touched) {
        if (at->stale) {
            code = load(store, at);
        }
    }
    if (code == SQLITE_OK && store->total != store->committed_total) {
        code = db_meta_set(store->db, DB_LOGS, "log_bytes", (int64_t)store->total);
    }
    return code;
}

static void unlink_appender(struct log_store *store, struct log_appender *appender)
{
    struct log_appender **at = slot_of(store, appender->process);
    while (*at != appender) {
        at = &(*at)->next;
    }
    *at = appender->next;
}

static void wish_merge(struct log_store *store, struct log_appender *appender)
{
    if (appender->small_rows < (appender->finished ? 2 : LOG_MERGE_ROWS) ||
        store->merge_count == LOG_MERGE_QUEUE) {
        return;
    }
    size_t target = appender->finished ? LOG_CHUNK_BYTES : (size_t)log_chunk_target(appender);
    store->merges[(store->merge_first + store->merge_count++) % LOG_MERGE_QUEUE] =
        (struct log_merge){ .process = appender->process, .chunk_bytes = target };
    appender->small_rows = 0;
}

static bool has_unreported(const struct log_appender *appender)
{
    return appender->unreported.dropped || appender->unreported.trimmed;
}

static void tell(struct log_appender *appender, struct log_progress *progress)
{
    const struct log_place *first = &appender->first, *end = &appender->end;
    *progress = (struct log_progress){
        .process = appender->process, .first_seq = first->next_seq, .last_seq = end->next_seq - 1,
        .stored_bytes = end->total[0] + end->total[1] - log_bytes_gone(first),
        .dropped_bytes = appender->unreported.dropped,
        .trimmed_bytes = appender->unreported.trimmed,
        .stdout_bytes = end->total[0], .stderr_bytes = end->total[1],
    };
    appender->unreported = (struct log_deleted){ 0 };
}

static size_t count_touched(const struct log_store *store)
{
    size_t count = 0;
    for (const struct log_appender *at = store->touched; at; at = at->next_touched) {
        count++;
    }
    return count;
}

void log_store_committed(struct log_store *store, struct batch *batch)
{
    struct log_appender *left = NULL, *next;
    size_t count = count_touched(store);
    if (batch && count) {
        batch->progress = batch_alloc(batch, count * sizeof *batch->progress);
    }
    for (struct log_appender *at = store->touched; at; at = next) {
        next = at->next_touched;
        at->unreported.dropped += at->deleted.dropped;
        at->unreported.trimmed += at->deleted.trimmed;
        at->deleted = (struct log_deleted){ 0 };
        wish_merge(store, at);
        bool told = batch && batch->progress;
        if (told) {
            tell(at, &batch->progress[batch->progress_count++]);
        }
        at->touched = has_unreported(at);
        at->next_touched = left;
        left = at->touched ? at : left;
        if (at->finished && !at->touched) {
            unlink_appender(store, at);
            appender_free(at);
        }
    }
    store->touched = left;
    store->committed_total = store->total;
    store->committed_known_process = store->known_process;
    store->transaction++;
}

bool log_store_has_news(const struct log_store *store)
{
    return store->touched != NULL;
}

/* What was not told yet is kept over a rollback; everything else is loaded again. */
void log_store_reset(struct log_store *store)
{
    store->touched = NULL;
    for (size_t i = 0; i < LOG_STORE_SLOTS; i++) {
        for (struct log_appender **slot = &store->slots[i], *at; (at = *slot) != NULL;) {
            if (!has_unreported(at)) {
                *slot = at->next;
                appender_free(at);
                continue;
            }
            log_bytes_free(&at->bytes);
            log_carry_free(&at->carry);
            *at = (struct log_appender){ .next = at->next, .process = at->process, .stale = true,
                                         .unreported = at->unreported };
            touch(store, at);
            slot = &at->next;
        }
    }
    store->total = store->committed_total;
    store->known_process = store->committed_known_process;
    store->buffered = 0;
}

void log_store_forget(struct log_store *store, int64_t process)
{
    struct log_appender *appender = find(store, process);
    if (!appender) {
        return;
    }
    for (struct log_appender **at = &store->touched; *at; at = &(*at)->next_touched) {
        if (*at == appender) {
            *at = appender->next_touched;
            break;
        }
    }
    unlink_appender(store, appender);
    appender_free(appender);
}

void log_store_evict(struct log_store *store, uint64_t transactions)
{
    for (size_t i = 0; i < LOG_STORE_SLOTS; i++) {
        for (struct log_appender **slot = &store->slots[i], *at; (at = *slot) != NULL;) {
            bool keep = at->touched || at->used + transactions > store->transaction;
            slot = keep ? &at->next : slot;
            if (!keep) {
                *slot = at->next;
                appender_free(at);
            }
        }
    }
}

bool log_store_next_merge(struct log_store *store, struct log_merge *out)
{
    if (!store->merge_count) {
        return false;
    }
    *out = store->merges[store->merge_first];
    store->merge_first = (store->merge_first + 1) % LOG_MERGE_QUEUE;
    store->merge_count--;
    return true;
}
