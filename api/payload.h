/*
 * Payloads: bodies of any content type that go through the daemon as they are. What puts and sends ask
 * of them, and in which form they are given back. Loop thread only.
 */
#ifndef FORKFUL_API_PAYLOAD_H
#define FORKFUL_API_PAYLOAD_H

#include "api/http.h"
#include "service/message.h"

#define PAYLOAD_TYPE "application/octet-stream" /* of one that was put without any */

/* Its size and the length of its content type. NULL: good. */
struct problem *payload_check(const struct request *request,
                              const struct message_content *content);
/* Does Accept ask for the body as it is (only where it names PAYLOAD_TYPE), or for JSON? NULL: *raw
   tells; else 406. */
struct problem *payload_form(const struct request *request, bool *raw);

#endif
