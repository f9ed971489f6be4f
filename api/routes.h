/*
 * The one table of routes; see struct route in http.h. openapi.yaml says the same, and a test holds
 * them together by what routes_print writes.
 */
#ifndef FORKFUL_API_ROUTES_H
#define FORKFUL_API_ROUTES_H

#include <stdio.h>

#include "api/http.h"

#define ROUTE_SPAWN_BODY_BYTES (4u << 20)
#define ROUTE_STDIN_BODY_BYTES (16u << 20)
#define ROUTE_PAYLOAD_BODY_BYTES (16u << 20)
#define ROUTE_BATCH_BODY_BYTES (16u << 20)
#define ROUTE_VALUE_BODY_BYTES (16u << 20)

/* A line "METHOD path operation scope body" for each, and "? key type" behind it for each query
   key. */
void routes_print(FILE *out);
/* `forkful --routes`: prints them; the exit status. */
int routes_command(int argc, char **argv);

#endif
