/* Scopes; see scope.h. */
#include "service/scope.h"

#include <string.h>

enum { SCOPES = 5 };

const char *const scope_words[SCOPES + 1] = {"read", "logs", "operate", "spawn", "admin", NULL};

const char *scope_name(enum scope scope)
{
    for (unsigned i = 0; i < SCOPES; i++) {
        if (scope == 1u << i) {
            return scope_words[i];
        }
    }
    return "public";
}

bool scopes_add(unsigned *scopes, const char *name, size_t bytes)
{
    for (unsigned i = 0; i < SCOPES; i++) {
        if (strlen(scope_words[i]) == bytes && memcmp(scope_words[i], name, bytes) == 0) {
            *scopes |= 1u << i;
            return true;
        }
    }
    return false;
}

bool scopes_from_words(const char *words, unsigned *scopes)
{
    *scopes = 0;
    for (;;) {
        size_t bytes = strcspn(words, ",");
        if (!scopes_add(scopes, words, bytes)) {
            return false;
        }
        if (!words[bytes]) {
            return true;
        }
        words += bytes + 1;
    }
}

bool scopes_allow(unsigned scopes, enum scope needed)
{
    if (needed == SCOPE_PUBLIC || scopes & SCOPE_ADMIN) {
        return true;
    }
    return needed == SCOPE_READ ? scopes != 0 : scopes & needed;
}

void scopes_json(struct text *text, unsigned scopes)
{
    text_putc(text, '[');
    for (unsigned i = 0; i < SCOPES; i++) {
        if (scopes & 1u << i) {
            text_json_comma(text);
            text_json_string(text, scope_words[i]);
        }
    }
    text_putc(text, ']');
}
