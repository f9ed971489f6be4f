/* Pages of lists; see page.h. */
#include "api/page.h"

#include <stdio.h>
#include <string.h>

uint64_t page_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3ull;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        hash = (hash ^ (bytes >> 8 * i & 0xff)) * 0x100000001b3ull;
    }
    return hash;
}

void page_token_format(const struct fact_id *last, uint64_t filters, char out[PAGE_TOKEN_BYTES])
{
    for (size_t i = 0; i < sizeof last->bytes; i++) {
        snprintf(out + 2 * i, 3, "%02x", last->bytes[i]);
    }
    snprintf(out + 2 * sizeof last->bytes, 17, "%016llx", (unsigned long long)filters);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool page_token_parse(const char *token, uint64_t filters, struct fact_id *last)
{
    char expected[PAGE_TOKEN_BYTES];
    if (strlen(token) != PAGE_TOKEN_BYTES - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof last->bytes; i++) {
        int high = hex_digit(token[2 * i]), low = hex_digit(token[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        last->bytes[i] = (uint8_t)(high * 16 + low);
    }
    page_token_format(last, filters, expected);
    return strcmp(token, expected) == 0;
}

struct problem *page_from_request(const struct request *request, uint64_t filters,
                                  struct page *out)
{
    uint64_t limit = PAGE_LIMIT_STANDARD;
    const char *token = request_param(request, "page_token");
    request_param_unsigned(request, "limit", &limit);
    *out = (struct page){.limit = (size_t)limit, .goes_on = token, .filters = filters};
    if (token && !page_token_parse(token, filters, &out->after)) {
        return problem_add(NULL, PROBLEM_INVALID_PAGE_TOKEN, FAULT_PARAMETER, "page_token",
                           "the page token does not belong to this list with these filters");
    }
    return NULL;
}

void page_end(struct text *body, const struct page *page, const struct fact_id *last)
{
    char token[PAGE_TOKEN_BYTES];
    text_put(body, "],\"next_page_token\":");
    if (last) {
        page_token_format(last, page->filters, token);
        text_json_string(body, token);
    } else {
        text_put(body, "null");
    }
    text_putc(body, '}');
}
