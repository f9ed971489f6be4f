/*
 * From a packet's bytes to checked structs. Pure functions: no system calls, no state, no copies;
 * the pointers they set point into the bytes given. Whatever they accept is safe to use: strings
 * end inside the body, counts agree with lengths, enums are in range. Fuzzed by tests/fuzz.
 */
#ifndef FORKFUL_KEEPER_DECODE_H
#define FORKFUL_KEEPER_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/resume.h"

struct packet {
    struct command command;
    const unsigned char *body;    /* NULL when it lies in a descriptor */
    int fds[COMMAND_SPAWN_FDS];   /* what came with it, -1: none; link.c fills and closes them */
    bool fds_lost;                /* more would have come, but we may have no more open */
    uint32_t stage;               /* for the reply to a spawn: enum spawn_stage */
    union {                       /* by command.type; what has a fixed body */
        struct command_hello hello;
        struct command_signal signal;
        struct command_stop stop;
        struct command_credit credit;
        struct command_state state;
        struct resume_entry adopt;
    } fixed;
};

struct spawn {
    struct command_spawn fixed;
    const char *strings;          /* argv, env, cwd: NUL-terminated, one after the other */
    const char *cwd;              /* the last of them; empty: stay */
    const unsigned char *record;
    const unsigned char *groups;  /* group_count uint32_t, not aligned */
    const unsigned char *filter;  /* fixed.filter_bytes, not aligned */
    int stdin_file, program, directory, ruleset; /* what came with it, -1: none; commands.c fills them in */
};

/* How many of the bytes are the first command; 0: not even its header is whole. */
size_t decode_length(const unsigned char *bytes, size_t size);
/* Both: 0, or -EPROTO. */
int decode_packet(const unsigned char *bytes, size_t size, struct packet *packet);
int decode_spawn(const unsigned char *body, size_t size, struct spawn *spawn);

#endif
