/*
 * Accounts: how many processes there are of each who may ask for some. Who that is is an id: that of
 * a process, a session or a token, one made of a uid for another user on the Unix socket, and
 * zeroes for the admin. An account is there while it has processes. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_ACCOUNT_H
#define FORKFUL_SERVICE_ACCOUNT_H

#include "service/id_map.h"

struct account_table {                 /* zeroed = empty */
    struct id_map by_id;
};

/* One more. False: no memory. */
bool account_enter(struct account_table *table, const struct fact_id *id);
/* One less; it was entered. */
void account_leave(struct account_table *table, const struct fact_id *id);
size_t account_processes(const struct account_table *table, const struct fact_id *id);
void account_table_free(struct account_table *table);

#endif
