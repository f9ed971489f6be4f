/*
 * Any bytes as an Authorization header: only the tokens that there are get in, written as
 * RFC 6750 says. In the input a byte 1 stands for the admin's token, 2 for a living process's and
 * 3 for that of one that has ended, which no fuzzer would guess.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/app.h"
#include "api/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct app app;
static char tokens[3][128] = {"fkf_" SECRET};

static void add_process(unsigned number, enum process_state state)
{
    struct fact_id id = {{(uint8_t)number}};
    struct process *process = process_table_add(&app.service.processes, &id, number);

    memcpy(process->token, SECRET, sizeof SECRET);
    process_set_state(&app.service.processes, process, state);
    snprintf(tokens[number], sizeof tokens[number], "fkp_%s_%s", process->id_text + 2, SECRET);
}

static void begin(void)
{
    if (app.admin_token[0] != '\0')
        return;
    memcpy(app.admin_token, tokens[0], sizeof tokens[0]);
    add_process(1, STATE_CREATED);
    add_process(2, STATE_EXITED);
}

static void check_admitted(const char *header, const struct principal *who)
{
    const char *wanted = tokens[who->kind == PRINCIPAL_PROCESS];

    assert(who->kind == PRINCIPAL_ADMIN || who->kind == PRINCIPAL_PROCESS);
    assert(strncasecmp(header, "Bearer ", 7) == 0);
    assert(strcmp(header + 7 + strspn(header + 7, " "), wanted) == 0);
}

static void check_refused(struct problem *problem, const struct principal *who)
{
    assert(problem->code == PROBLEM_UNAUTHORIZED || problem->code == PROBLEM_OWNER_ENDED);
    assert(who->kind == PRINCIPAL_NONE);
    problem_free(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct text header = {0};
    struct principal who;
    struct credentials shown = {.peer_fd = -1};

    begin();
    for (size_t i = 0; i < bytes && data[i] != '\0'; i++) {
        if (data[i] <= 3)
            text_put(&header, tokens[data[i] - 1]);
        else
            text_putc(&header, (char)data[i]);
    }
    char *exact = strdup(header.bytes > 0 ? header.data : ""); /* the sanitizer sees its end */
    struct problem *problem = auth_check(&app, &shown, SCOPE_READ, &who);
    if (problem == NULL)
        check_admitted(exact, &who);
    else
        check_refused(problem, &who);
    free(exact);
    text_free(&header);
    return 0;
}
