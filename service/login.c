/* Login codes; see login.h. */
#include "service/login.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "service/id.h"

static struct login_code *free_place(struct login_codes *codes, int64_t now_us)
{
    for (size_t i = 0; i < LOGIN_CODES; i++) {
        if (codes->items[i].expires_at_us <= now_us) {
            return &codes->items[i];
        }
    }
    return NULL;
}

struct login_code *login_code_make(struct login_codes *codes, unsigned scopes, int64_t now_us,
                                   int64_t expires_at_us, char shown[LOGIN_CODE_BYTES],
                                   struct problem **problem)
{
    struct login_code *code = free_place(codes, now_us);
    char secret[LOGIN_SECRET_BYTES + 1];
    if (!code) {
        *problem = problem_make(PROBLEM_LIMIT_REACHED, "%d login codes wait for their use already",
                                LOGIN_CODES);
        return NULL;
    }
    if (!random_hex(LOGIN_SECRET_BYTES / 2, secret)) {
        *problem = problem_make(PROBLEM_UNAVAILABLE, "there are no random bytes to be had");
        return NULL;
    }
    snprintf(shown, LOGIN_CODE_BYTES, "fkl_%s", secret);
    explicit_bzero(secret, sizeof secret);
    *code = (struct login_code){.scopes = scopes, .expires_at_us = expires_at_us};
    sha256(shown, LOGIN_CODE_BYTES - 1, code->hash);
    return code;
}

/* All places are looked at, whatever the text is: how long it takes tells nothing. */
struct login_code *login_code_find(struct login_codes *codes, const char *text, size_t bytes,
                                   int64_t now_us)
{
    uint8_t hash[SHA256_BYTES];
    struct login_code *found = NULL;
    sha256(text, bytes, hash);
    for (size_t i = 0; i < LOGIN_CODES; i++) {
        struct login_code *code = &codes->items[i];
        bool same = constant_time_equal((const char *)hash, sizeof hash, (const char *)code->hash,
                                        sizeof code->hash);
        found = same && code->expires_at_us > now_us ? code : found;
    }
    return found;
}

void login_code_end(struct login_code *code)
{
    *code = (struct login_code){.expires_at_us = 0};
}
