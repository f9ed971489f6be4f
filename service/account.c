/* Accounts; see account.h. */
#include "service/account.h"

#include <stddef.h>
#include <stdlib.h>

struct account {
    struct fact_id id;
    size_t processes;
};

static struct account *find(const struct account_table *table, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&table->by_id, id);
    return found ? (struct account *)((char *)found - offsetof(struct account, id)) : NULL;
}

bool account_enter(struct account_table *table, const struct fact_id *id)
{
    struct account *account = find(table, id);
    if (!account) {
        account = calloc(1, sizeof *account);
        if (!account) {
            return false;
        }
        account->id = *id;
        if (!id_map_add(&table->by_id, &account->id)) {
            free(account);
            return false;
        }
    }
    account->processes++;
    return true;
}

void account_leave(struct account_table *table, const struct fact_id *id)
{
    struct account *account = find(table, id);
    if (account && --account->processes == 0) {
        id_map_remove(&table->by_id, id);
        free(account);
    }
}

size_t account_processes(const struct account_table *table, const struct fact_id *id)
{
    const struct account *account = find(table, id);
    return account ? account->processes : 0;
}

void account_table_free(struct account_table *table)
{
    for (size_t i = 0; i < table->by_id.size; i++) {
        if (table->by_id.places[i]) {
            free((char *)table->by_id.places[i] - offsetof(struct account, id));
        }
    }
    id_map_free(&table->by_id);
}
