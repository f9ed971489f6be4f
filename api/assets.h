/*
 * The files embedded into the binary at build time: the dashboard (web/), openapi.yaml and
 * openapi.json, and the keeper's ELF. scripts/assets.sh lists them, api/assets.c includes their
 * bytes. Everything here is constant and lives as long as the program, so any thread may read it
 * and nobody frees it.
 */
#ifndef FORKFUL_API_ASSETS_H
#define FORKFUL_API_ASSETS_H

#include <stddef.h>

struct asset {
    const char *path;           /* address it is served at ("/", "/app.js"); "" for the keeper */
    const char *content_type;   /* value of Content-Type */
    const char *etag;           /* value of ETag: quoted, the first 16 hex digits of the SHA-256 */
    const unsigned char *bytes; /* the file; a NUL that is not counted follows it */
    size_t length;              /* bytes of the file */
};

/* The file served at `path`, or NULL when there is none. `path` is decoded and has no query. */
const struct asset *asset_find(const char *path);

/* The keeper's ELF, to be written into a memfd and executed. Never NULL. */
const struct asset *asset_keeper(void);

#endif
