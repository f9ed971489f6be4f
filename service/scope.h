/*
 * Scopes: what the bearer of a token may do. A set of them is a word of bits.
 *
 * Each includes `read`: who may change something may see what he changes. `admin` includes all.
 * `logs` is apart from `read`, because output holds what programs let slip; `operate` and `spawn`
 * do not include each other, nor `logs`. The bits are stored in the database: append only.
 */
#ifndef FORKFUL_SERVICE_SCOPE_H
#define FORKFUL_SERVICE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "service/text.h"

enum scope {
    SCOPE_PUBLIC = 0,                  /* no token is needed */
    SCOPE_READ = 1,                    /* everything but output */
    SCOPE_LOGS = 2,                    /* what processes write, and the daemon's own log */
    SCOPE_OPERATE = 4,                 /* change what is there, and coordinate */
    SCOPE_SPAWN = 8,                   /* make processes and pools */
    SCOPE_ADMIN = 16                   /* all of it, and the daemon itself */
};

/* What processes and sessions have at most. */
#define SCOPES_OF_OWNERS (SCOPE_READ | SCOPE_LOGS | SCOPE_OPERATE | SCOPE_SPAWN)
#define SCOPE_WORDS "read, logs, operate, spawn, admin"

/* The words of tokens, NULL at the end; and "public" through scope_name. */
extern const char *const scope_words[];
const char *scope_name(enum scope scope);
/* Adds the scope of this name. False: there is none. */
bool scopes_add(unsigned *scopes, const char *name, size_t bytes);
/* "read,logs": at least one. False: one is not known. */
bool scopes_from_words(const char *words, unsigned *scopes);
bool scopes_allow(unsigned scopes, enum scope needed);
/* ["read","logs"] */
void scopes_json(struct text *text, unsigned scopes);

#endif
