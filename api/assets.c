/*
 * Embedded files. The build writes assets.list, one ASSET(number, path, file, type, length, hash) a
 * line with the keeper as row 0; including it twice makes first the bytes (.incbin, read by the
 * assembler) and then the table. The hash in the list is what has this file compiled again when
 * only the contents of an embedded file have changed.
 */
#include "api/assets.h"

#include <string.h>

#define ASSET(number, path, file, type, length, hash)                                              \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n"                                                                         \
            "asset_bytes_" #number ":\n"                                                           \
            ".incbin \"" file "\"\n"                                                               \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const unsigned char asset_bytes_##number[];
#include "assets.list"
#undef ASSET

#define ASSET(number, path, file, type, length, hash)                                              \
    {path, type, "\"" hash "\"", asset_bytes_##number, length},
static const struct asset assets[] = {
#include "assets.list"
};
#undef ASSET

const struct asset *asset_find(const char *path)
{
    for (size_t i = 1; i < sizeof assets / sizeof assets[0]; i++) {
        if (strcmp(assets[i].path, path) == 0) {
            return &assets[i];
        }
    }
    return NULL;
}

const struct asset *asset_keeper(void)
{
    return &assets[0];
}
