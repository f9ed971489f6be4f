/*
 * The tree. A node's children are its literal segments, and one more for {x}; the routes hang on
 * the node where their path ends, one per method.
 */
#include "api/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS = 4, ALLOW_BYTES = 48 };

static const struct verb {
    enum method method;
    const char *words; /* what it adds to Allow */
} verbs[METHODS] = {
    {METHOD_GET, "GET, HEAD, "},
    {METHOD_POST, "POST, "},
    {METHOD_PUT, "PUT, "},
    {METHOD_DELETE, "DELETE, "},
};

struct node {
    const char *text; /* of the segment, in the table; not terminated */
    size_t bytes;
    struct node *child, *next; /* first literal child; next sibling */
    struct node *capture;      /* the child for {x} */
    const struct route *routes[METHODS];
    char allow[ALLOW_BYTES]; /* "" while no route ends here */
};

struct router {
    struct node root;
};

static void nodes_free(struct node *node)
{
    /* As deep as the longest path of the table. */
    while (node != NULL) {
        struct node *next = node->next;
        nodes_free(node->child);
        nodes_free(node->capture);
        free(node);
        node = next;
    }
}

void router_free(struct router *router)
{
    if (router == NULL) {
        return;
    }
    nodes_free(router->root.child);
    nodes_free(router->root.capture);
    free(router);
}

static struct node *node_find(const struct node *parent, const char *text, size_t bytes)
{
    struct node *node = parent->child;

    while (node != NULL && (node->bytes != bytes || memcmp(node->text, text, bytes) != 0)) {
        node = node->next;
    }
    return node;
}

/* The child for a segment of the table, made when it is not there. NULL: no memory. */
static struct node *node_enter(struct node *parent, const char *text, size_t bytes)
{
    bool is_capture = bytes > 0 && text[0] == '{';
    struct node *node = is_capture ? parent->capture : node_find(parent, text, bytes);

    if (node != NULL) {
        return node;
    }
    node = calloc(1, sizeof *node);
    if (node == NULL) {
        return NULL;
    }
    node->text = text;
    node->bytes = bytes;
    if (is_capture) {
        parent->capture = node;
    } else {
        node->next = parent->child;
        parent->child = node;
    }
    return node;
}

static void write_allow(struct node *node)
{
    size_t at = 0;

    for (unsigned i = 0; i < METHODS; i++) {
        if (node->routes[i] != NULL) {
            at += (size_t)snprintf(node->allow + at, ALLOW_BYTES - at, "%s", verbs[i].words);
        }
    }
    snprintf(node->allow + at, ALLOW_BYTES - at, "OPTIONS");
}

static bool route_hang(struct node *node, const struct route *route)
{
    for (unsigned i = 0; i < METHODS; i++) {
        if (verbs[i].method != route->method) {
            continue;
        }
        if (node->routes[i] != NULL) {
            break;
        }
        node->routes[i] = route;
        write_allow(node);
        return true;
    }
    fprintf(stderr, "forkful: route %s: no such method, or twice the same\n", route->path);
    return false;
}

static bool route_add(struct router *router, const struct route *route)
{
    struct node *node = &router->root;
    unsigned captures = 0;

    for (const char *at = route->path; *at == '/' && at[1] != '\0';) {
        size_t bytes = strcspn(++at, "/");
        captures += *at == '{';
        node = node_enter(node, at, bytes);
        if (node == NULL) {
            return false;
        }
        at += bytes;
    }
    if (captures > ROUTE_CAPTURES) {
        fprintf(stderr, "forkful: route %s: too many {}\n", route->path);
        return false;
    }
    return route_hang(node, route);
}

struct router *router_new(const struct route *table, size_t count)
{
    struct router *router = calloc(1, sizeof *router);

    if (router == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (!route_add(router, &table[i])) {
            router_free(router);
            return NULL;
        }
    }
    return router;
}

static const struct route *route_of(const struct node *node, enum method method)
{
    if (method == METHOD_HEAD) {
        method = METHOD_GET;
    }
    for (unsigned i = 0; i < METHODS; i++) {
        if (verbs[i].method == method) {
            return node->routes[i];
        }
    }
    return NULL;
}

void router_match(const struct router *router, enum method method, const struct uri *uri,
                  struct match *out)
{
    const struct node *node = &router->root;

    out->route = NULL;
    out->path_known = false;
    out->captures = 0;
    for (unsigned i = 0; i < uri->count; i++) {
        const struct uri_piece *segment = &uri->segments[i];
        const struct node *literal = node_find(node, segment->data, segment->bytes);
        if (literal == NULL && segment->bytes > 0 && node->capture != NULL) {
            out->capture[out->captures++] = i;
            literal = node->capture;
        }
        if (literal == NULL) {
            return;
        }
        node = literal;
    }
    out->path_known = node->allow[0] != '\0';
    out->allow = node->allow;
    out->route = route_of(node, method);
}
