/*
 * Login codes: what a person carries from a terminal to a browser instead of a token.
 *
 * A code is fkl_<64 hex>, good once and for a minute. It is handed over in the fragment of an
 * address, which browsers neither send nor log, so nothing lasting is lost with the address. Only
 * hashes are kept, only in memory, and only a few: a server that ends forgets them. Plain data of
 * the caller's; times are the wall's, in microseconds. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_LOGIN_H
#define FORKFUL_SERVICE_LOGIN_H

#include <stddef.h>
#include <stdint.h>

#include "service/problem.h"
#include "service/sha256.h"

enum { LOGIN_CODES = 16, LOGIN_SECRET_BYTES = 64 };
#define LOGIN_CODE_BYTES (4 + LOGIN_SECRET_BYTES + 1) /* as it is shown, with its NUL */

struct login_code {
    uint8_t hash[SHA256_BYTES];
    unsigned scopes;                   /* enum scope: of the token that it is changed for */
    int64_t expires_at_us;             /* 0: nobody's place */
};

struct login_codes {                   /* zeroes: none */
    struct login_code items[LOGIN_CODES];
};

/* The only time that the code itself is known: in `shown`. NULL: the problem tells. */
struct login_code *login_code_make(struct login_codes *codes, unsigned scopes, int64_t now_us,
                                   int64_t expires_at_us, char shown[LOGIN_CODE_BYTES],
                                   struct problem **problem);
/* The one that was shown as this text, unless its time is over. Takes a time that depends on the
   text's length only. */
struct login_code *login_code_find(struct login_codes *codes, const char *text, size_t bytes,
                                   int64_t now_us);
/* It is void from now on. */
void login_code_end(struct login_code *code);

#endif
