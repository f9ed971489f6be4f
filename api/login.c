/*
 * `forkful login`: asks the daemon for a code and prints the dashboard's address with it.
 *
 * The code stands in the address's fragment, which a browser keeps to itself; the page changes it
 * for a token. It is printed and nothing else is done with it: given to a program that opens
 * addresses it would be in that program's arguments, where every user of the machine may read it
 * and be quicker.
 */
#include "api/login.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/client_target.h"
#include "service/scope.h"

enum { EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };
#define PATIENCE_US (15 * INT64_C(1000000))
#define ANSWER_BYTES_MAX 65536

struct options {
    struct client_place place;
    const char *scopes;               /* "read,logs"; NULL: all */
    bool help;
};

/* ---- the command line ---- */

static const struct {
    const char *name, *value, *meaning;
    size_t offset;                    /* of the value in struct options */
} options_known[] = {
    {"--scopes", "SCOPE,…", "what the page may do (all): some of\n                      " SCOPE_WORDS,
     offsetof(struct options, scopes)},
    {"--state-dir", "DIR", "the daemon with this state directory",
     offsetof(struct options, place.state_dir)},
    {"--socket", "PATH", "the daemon at this Unix socket", offsetof(struct options, place.socket)},
    {"--url", "URL", "the daemon at this URL", offsetof(struct options, place.url)},
};

static void print_usage(FILE *out)
{
    fputs("forkful login [OPTION]...: prints the address that logs a browser in, once and within a "
          "minute\n\n", out);
    for (size_t i = 0; i < sizeof options_known / sizeof options_known[0]; i++) {
        char option[64];
        snprintf(option, sizeof option, "%s %s", options_known[i].name, options_known[i].value);
        fprintf(out, "  %-20s%s\n", option, options_known[i].meaning);
    }
}

/* One option at argv[0]; *words becomes how many words it took. */
static bool take_option(struct options *options, int argc, char **argv, int *words,
                        struct refusal *refusal)
{
    const char *word = argv[0];
    size_t bytes = strcspn(word, "="), i = 0, count = sizeof options_known / sizeof options_known[0];
    while (i < count && (strlen(options_known[i].name) != bytes ||
                         strncmp(word, options_known[i].name, bytes) != 0)) {
        i++;
    }
    const char *value = word[bytes] ? word + bytes + 1 : argc > 1 ? argv[1] : NULL;
    if (i == count) {
        return refuse(refusal, "\"%.200s\": there is no such option", word);
    }
    if (!value || !*value) {
        return refuse(refusal, "%s needs a value: %s", options_known[i].name,
                      options_known[i].value);
    }
    memcpy((char *)options + options_known[i].offset, &value, sizeof value);
    *words = word[bytes] ? 1 : 2;
    return true;
}

static bool take_options(struct options *options, int argc, char **argv, struct refusal *refusal)
{
    unsigned scopes;
    *options = (struct options){.help = false};
    *refusal = (struct refusal){.usage = true};
    for (int at = 0, words = 1; at < argc; at += words) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            options->help = true;
            return true;
        }
        if (!take_option(options, argc - at, argv + at, &words, refusal)) {
            return false;
        }
    }
    if (options->scopes && !scopes_from_words(options->scopes, &scopes)) {
        return refuse(refusal, "--scopes takes some of " SCOPE_WORDS " with commas, not \"%.100s\"",
                      options->scopes);
    }
    refusal->usage = false;
    return true;
}

/* ---- the call ---- */

static bool take_piece(struct text *answer, const struct client_piece *piece)
{
    text_add(answer, piece->data, piece->bytes);
    return !answer->failed && answer->bytes <= ANSWER_BYTES_MAX;
}

/* Reads the answer to its end. False: it broke off, or does not come. */
static bool read_answer(struct client_call *call, struct text *answer)
{
    int64_t until_us = time_monotonic_us() + PATIENCE_US;
    for (;;) {
        struct client_piece piece;
        enum client_news news = client_next(call, &piece);
        int64_t left_us = until_us - time_monotonic_us();
        struct pollfd wait = {.fd = call->fd, .events = POLLIN};
        if (news == CLIENT_END) {
            return true;
        }
        if (news == CLIENT_BROKEN || (news == CLIENT_PIECE && !take_piece(answer, &piece)) ||
            (news == CLIENT_WAIT &&
             (left_us <= 0 || (poll(&wait, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR)))) {
            return false;
        }
    }
}

/* The status of the answer, which is parsed into *answer (NULL: no JSON); 0: there is none. */
static int ask(const struct client *client, const struct text *body, json_t **answer)
{
    struct client_call *call = malloc(sizeof *call);
    struct client_request request = {.method = "POST", .path = "/v1/login/codes",
                                     .fields = "Content-Type: application/json\r\n",
                                     .body = body->data, .bytes = body->bytes};
    struct text text = {0};
    int status = 0;
    *answer = NULL;
    if (!call) {
        return 0;
    }
    client_init(call);
    if (client_send(client, call, &request) == 0 && read_answer(call, &text)) {
        status = call->status;
        *answer = json_loadb(text.data ? text.data : "", text.bytes, 0, NULL);
    }
    client_close(call);
    text_free(&text);
    free(call);
    return status;
}

static void put_body(struct text *body, const struct options *options)
{
    unsigned scopes;
    text_put(body, "{\"scopes\":");
    if (options->scopes && scopes_from_words(options->scopes, &scopes)) {
        scopes_json(body, scopes);
    } else {
        text_put(body, "null");
    }
    text_putc(body, '}');
}

/* ---- what comes of it ---- */

static int fail(int status, const char *sentence, const char *place)
{
    fprintf(stderr, "forkful login: %s%s%s\n", place, *place ? ": " : "", sentence);
    return status;
}

static int tell(int status, const json_t *answer)
{
    const char *url = json_string_value(json_array_get(json_object_get(answer, "urls"), 0));
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    if (status != 201) {
        return fail(EXIT_FAILURE, detail ? detail : "it does not say why", "the daemon refuses");
    }
    if (!url) {
        return fail(EXIT_FAILURE, "the daemon has no TCP address for a browser; start it with "
                    "--listen", "");
    }
    if (puts(url) < 0 || fflush(stdout)) {
        return fail(EXIT_FAILURE, strerror(errno), "stdout");
    }
    return EXIT_SUCCESS;
}

static int execute(const struct options *options, struct refusal *refusal)
{
    struct client client;
    struct text body = {0};
    json_t *answer;
    if (!client_target(&client, &options->place, refusal)) {
        return fail(refusal->usage ? EXIT_USAGE : EXIT_FAILURE, refusal->text, "");
    }
    put_body(&body, options);
    int status = body.failed ? 0 : ask(&client, &body, &answer);
    text_free(&body);
    if (!status) {
        return fail(EXIT_UNREACHABLE, "no daemon answers there", client.place);
    }
    status = tell(status, answer);
    json_decref(answer);
    return status;
}

int login_command(int argc, char **argv)
{
    struct options options;
    struct refusal refusal;
    if (!take_options(&options, argc, argv, &refusal)) {
        return fail(EXIT_USAGE, refusal.text, "");
    }
    if (options.help) {
        print_usage(stdout);
        return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    return execute(&options, &refusal);
}
