/*
 * The server's configuration: read at its start and at SIGHUP, kept in the database for a later
 * server that finds the file broken, and applied to what has limits. Loop thread only.
 */
#ifndef FORKFUL_API_SERVER_CONFIG_H
#define FORKFUL_API_SERVER_CONFIG_H

#include "api/app.h"

/* *text: what the file held, for the caller to free; NULL without a file and on failure. */
struct problem *server_config_load(struct config *config, char **text);
/* Takes `text`, the last good one, for a later server that finds the file broken. */
void server_config_keep(struct app *app, char *text);
/* The file was broken or taken away while the daemon ran (`refused` says how). That must not end it,
   now that its server had to start again: what the last server took goes on. */
struct problem *server_config_fall_back(struct db *db, struct config *config,
                                        const struct problem *refused);

/* Of our descriptors half may be connections over TCP and a quarter such on the Unix socket; the
   rest is for processes (four each) and for ourselves. */
void server_config_connections(struct app *app);
struct http_limits server_config_http(const struct app *app);
void server_config_apply(struct app *app);   /* to the writer */

/* The level that was set last for this daemon (app_keep_log_level). */
void server_config_log_level(struct app *app, struct db *db);

#endif
