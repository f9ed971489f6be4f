/*
 * The user as whom the server runs when root starts the daemon (`server.user`), and what the
 * launcher does for it.
 *
 * The server's directories are that user's. So whatever the launcher does in them it does with no
 * more than that user's rights: a link that somebody has put there leads root nowhere. The one
 * exception is a directory that is root's still, where nobody else can have put anything: it is
 * handed over, file by file, itself last.
 */
#ifndef FORKFUL_API_SERVER_USER_H
#define FORKFUL_API_SERVER_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "service/config.h"
#include "service/text.h"

struct server_user {
    bool given;
    const char *name;                 /* borrowed from the configuration */
    uid_t uid;
    gid_t gid;
    struct text users;                /* for the keeper, in the form of service/keeper/users.c */
};

/* Finds the users that the configuration names. Root's further groups are given up for good. */
bool server_user_find(const struct config *config, struct server_user *out,
                      struct refusal *refusal);
/* Makes the directory for the user, or hands it over if it is root's and only root's. Its parents
   must be there. */
bool server_user_own(const struct server_user *user, const char *path, struct refusal *refusal);
/* Takes the user's rights, and root's back again. */
bool server_user_act(const struct server_user *user, bool on, struct refusal *refusal);

#endif
