/*
 * Pages of lists: `limit` and `page_token`.
 *
 * A list is in the order of its ids. A token is the last id of the page before and a hash of the
 * filters, both in hex: it needs no state, outlives a restart, and what was made or deleted in
 * between neither hides nor doubles an item. It is no secret: a forged one shows what the caller
 * may see anyway.
 */
#ifndef FORKFUL_API_PAGE_H
#define FORKFUL_API_PAGE_H

#include "api/http.h"

#define PAGE_LIMIT_MAX 500
#define PAGE_LIMIT_STANDARD 100
#define PAGE_TOKEN_BYTES 49           /* 16 bytes of id, 8 of hash, as hex, and NUL */
#define PAGE_HASH_START 0xcbf29ce484222325ull

struct page {
    size_t limit;
    bool goes_on;                     /* a page_token was given: begin behind `after` */
    struct fact_id after;
    uint64_t filters;                 /* hash */
};

/* FNV-1a over the bytes and their count, so that "ab","c" and "a","bc" differ. */
uint64_t page_hash(uint64_t hash, const void *data, size_t bytes);

/* `filters`: hash of everything that selects or orders items. `limit` was checked by the route's
   table (PARAM_LIMIT). */
struct problem *page_from_request(const struct request *request, uint64_t filters,
                                  struct page *out);

void page_token_format(const struct fact_id *last, uint64_t filters, char out[PAGE_TOKEN_BYTES]);
/* False: not a token of a list with these filters. */
bool page_token_parse(const char *token, uint64_t filters, struct fact_id *last);

/* Writes `],"next_page_token":…}`. `last`: of this page, when there are more; else NULL. */
void page_end(struct text *body, const struct page *page, const struct fact_id *last);

#endif
