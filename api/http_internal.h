/*
 * What the http_*.c files share: listeners, peers (connections), requests, and who calls whom.
 *
 * http_server.c runs the MHD daemons; http_accept.c takes connections in; http_peer.c keeps the connections with their deadlines and
 * notices closed ones; http_head.c and http_dispatch.c take a request from its first header to its handler;
 * http_tunnel.c ends TLS before the library; http_answer.c and http_stream.c make what goes back; http_park.c holds what must wait;
 * http_audit.c writes down who asked for what; http_failures.c counts wrong tokens; http_request.c is
 * the request object.
 *
 * Life of a request: made when MHD has read the request line, freed when MHD says it is completed.
 * In between MHD asks for it (the access handler) and each question is answered by its stage.
 */
#ifndef FORKFUL_API_HTTP_INTERNAL_H
#define FORKFUL_API_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "api/failures.h"
#include "api/guard.h"
#include "api/http.h"
#include "api/query.h"
#include "api/router.h"
#include "api/tls.h"

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result; /* what was an int before */
#else
typedef int mhd_result;
#endif

/* What a connection is waited for. All connections of one list have the same time to go, so each
   list is in the order of its deadlines. */
enum deadline {
    DEADLINE_HEADER,
    DEADLINE_BODY,
    DEADLINE_SEND,
    DEADLINE_IDLE,
    DEADLINE_PING,
    DEADLINES,
    DEADLINE_NONE
};

enum { ADDRESS_BYTES = 64 };
enum { REQUEST_ARENA = 960, FREE_REQUESTS = 256, STREAM_BYTES = 65536, ALIGNMENT = 16 };
#define SEND_US (300 * 1000000ll) /* for a whole answer to a client that reads slowly */
#define PING_US (15 * 1000000ll)  /* of silence on an SSE stream */
/* Of a refused body: so much is read and thrown away, so that the client sees the answer; twice a payload's
   standard limit. */
#define DISCARD_BYTES (32u << 20)

struct peer {
    struct http_port *port;
    struct peer *previous, *next; /* in its deadline list */
    int64_t deadline_us;
    enum deadline waits_for;
    int fd;                  /* MHD's */
    struct request *request; /* the one that MHD works on; NULL between two */
    struct watch watch;      /* for the client's close; EPOLLONESHOT */
    bool watched;
    bool hung_up; /* the close was seen */
    bool known;   /* it has shown a token, or who it is */
    struct tunnel *tunnel; /* through which it comes; NULL: without TLS */
};

/* One listener. (http_listener is what the caller gives.) */
struct http_port {
    struct watch watch; /* MHD's epoll fd */
    struct watch listener;
    bool listening; /* the listener is watched */
    struct http *http;
    struct MHD_Daemon *daemon;
    struct guard_rules rules;
    char address[ADDRESS_BYTES]; /* as it stands in Host; "": each connection has its own */
    int listen_fd;
    bool resumed;    /* a connection was resumed: MHD_run is owed */
    bool unfinished; /* MHD has more to do at once */
    bool quiesced;   /* takes no connections any more */
};

enum stage {
    STAGE_HEAD,     /* the header is not there yet */
    STAGE_COLLECT,  /* the body comes in */
    STAGE_DISCARD,  /* the answer is there, the rest of the body is thrown away */
    STAGE_READY,    /* all is there; the handler is next */
    STAGE_RUNNING,  /* in the handler */
    STAGE_PARKED,   /* suspended in MHD until an answer */
    STAGE_ANSWERED, /* the answer waits for MHD to ask, or is going out */
    STAGE_GONE,     /* the client has left: MHD is to close */
};

struct header_out {
    struct header_out *next;
    const char *name, *value;
};

struct sent_hook {
    struct sent_hook *next;
    void (*sent)(struct request *request, void *context, bool ok);
    void *context;
};

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(ALIGNMENT) char data[];
};

struct request {
    struct peer *peer;
    struct http *http;
    struct MHD_Connection *connection;
    const struct route *route;
    enum stage stage;
    enum method method;
    bool http_1_0;
    bool suspended; /* in MHD */
    bool held;      /* answered, but kept back by idempotency */
    bool owes;      /* counted in http->owing */
    bool audited;   /* its row is written */

    char *target; /* raw; in the arena */
    size_t target_bytes, path_bytes;
    struct head head;
    struct uri_piece segments[ROUTE_CAPTURES];
    struct query query;
    struct problem *faults; /* of the query, for a handler that adds its own */
    struct principal principal;
    char id[ID_TEXT_BYTES]; /* made when the client gave none; "": not yet */

    char *body;
    size_t body_bytes, body_room, discarded;
    json_t *json;

    struct park park;
    bool park_done; /* http_park_done */
    struct request *previous_parked, *next_parked;
    void *idempotent;
    struct header_out *headers_out, **last_header_out;
    struct sent_hook *sent_hooks, **last_sent_hook;
    struct MHD_Response *response; /* waits for MHD to ask */
    bool header_lost;              /* there was no memory for one: nor is there for the answer */
    bool cut;                      /* it is done and cannot be told: the connection is closed instead */
    const char *code;              /* the problem's word that is answered, or NULL */
    unsigned status;
    struct stream *stream;

    struct arena_chunk *chunks; /* what did not fit into the arena */
    struct request *next_free;
    size_t arena_used;
    _Alignas(ALIGNMENT) char arena[REQUEST_ARENA];
};

struct peer_list {
    struct peer *first, *last;
};

struct http {
    struct app *app;
    struct loop *loop;
    struct router *router;
    struct http_limits limits;
    struct http_port *ports;
    size_t port_count;
    struct MHD_Response *no_memory; /* the answer that needs none */
    struct peer_list waiting[DEADLINES];
    struct timer sweep, accept_again;
    unsigned open[2]; /* connections over TCP, and on the Unix socket */
    unsigned parked, owing;
    unsigned crowd; /* most connections since the last trim */
    struct timer trim;
    struct failures failed_tokens, failed_codes;
    struct tls_identity *identity; /* NULL: none yet */
    struct tunnel *tunnels, *last_tunnel;
    unsigned tunnel_count;
    struct request *parked_first;
    struct stream *streams;     /* all open ones */
    struct deferred tell_rooms; /* to the owners of those that wait to hear of it */
    struct request *free_requests;
    unsigned free_count;
    unsigned complaints; /* of MHD not written since complained_us */
    int64_t complained_us;
    bool draining;
    bool upgrading; /* draining, and somebody comes after us */
};

/* http_server.c */
void port_wake(struct http_port *port); /* a connection was resumed or queued */
/* Where the socket is bound to, as it stands in Host; "": to all addresses. */
void address_name(int fd, char out[ADDRESS_BYTES]);

/* http_accept.c */
int accept_start(struct http_port *port); /* 0 or a negative errno */
void accept_stop(struct http_port *port); /* for good */
void accept_resume(struct http *http);    /* a connection was closed */
void accept_again(struct timer *timer);

/* http_peer.c */
struct peer *peer_of(struct MHD_Connection *connection);
/* Whose ends are the client's address and ours. */
int peer_socket(const struct peer *peer);
void peer_notify(void *port, struct MHD_Connection *connection, void **context,
                 enum MHD_ConnectionNotificationCode what);
void peer_wait(struct peer *peer, enum deadline what); /* moves it to the end of that list */
bool peer_watch(struct peer *peer);              /* for the client's close; false: not possible */
void peer_keep_probing(const struct peer *peer); /* TCP keepalive */
void peers_sweep(struct timer *timer);
/* Closes the oldest connections of strangers that are waited for: an eighth of all there may be. */
void peers_make_room(struct http *http, bool is_unix);
void peers_close_idle(struct http *http);
void peers_trim(struct timer *timer); /* gives the memory of a crowd that has left back */

/* http_tunnel.c */
void tunnel_begin(struct http_port *port, int fd); /* takes the client's socket */
/* MHD has taken up this end. NULL: there is no such tunnel. */
struct tunnel *tunnel_attach(struct http *http, int fd, struct peer *peer);
void tunnel_detach(struct tunnel *tunnel); /* and is about to close it */
int tunnel_socket(const struct tunnel *tunnel);
/* By a certificate that was verified; NULL: it has shown none. */
const struct tls_subject *tunnel_client(struct tunnel *tunnel);
/* Ends those of strangers that MHD does not know; how many are still wanted. */
unsigned tunnels_make_room(struct http *http, unsigned wanted, int64_t begun_before_us);
void tunnels_end(struct http *http);

/* http_request.c */
struct request *request_new(struct peer *peer, struct MHD_Connection *connection,
                            const char *target); /* NULL: no memory */
void request_free(struct request *request);
void requests_free_spare(struct http *http);

/* http_head.c: what the head alone tells. NULL: no objection. */
/* Takes the headers into the request; a refusal closes the connection. */
struct problem *head_guard(struct request *request, const char *url, const char *version);
/* `OPTIONS *` asks about the server as a whole (RFC 9110 section 9.3.7); then it is answered. */
bool head_asks_for_server(struct request *request);
/* Route, token, query, kind and size of the body. NULL may also mean that the answer is there. */
struct problem *head_check(struct request *request, struct uri *uri);
size_t head_body_limit(const struct request *request); /* bytes */
struct problem *head_too_large(const struct request *request);

/* http_dispatch.c */
void *dispatch_target(void *port, const char *target, struct MHD_Connection *connection);
mhd_result dispatch(void *port, struct MHD_Connection *connection, const char *url,
                    const char *method, const char *version, const char *upload,
                    size_t *upload_bytes, void **state);
/* MHD has just found a Content-Length that is no number: it would send its answer's header twice. */
void dispatch_broken_length(struct http *http);
void dispatch_completed(void *port, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode how);

/* http_answer.c */
struct MHD_Response *answer_no_memory(void); /* made once, at the start */
/* Takes `response` (NULL: there was no memory): adds the headers every answer has, and sends it as
   soon as MHD asks. */
void answer_finish(struct request *request, int status, const char *content_type,
                   struct MHD_Response *response);

/* http_audit.c */
void audit_answered(struct request *request, int status); /* before the answer is made */
void audit_over(struct request *request); /* it ends; its client may never have had an answer */

/* http_park.c */
void park_settle(struct request *request); /* after a handler that has not answered */
void park_leave(struct request *request);  /* it is answered: out of the list */
void park_gone(struct request *request);   /* its client has left */
struct problem *park_drained(const struct http *http); /* what those get that would have waited */
bool park_outlives_client(const struct request *request);
void parks_end(struct http *http, bool answer); /* all of them: 503, or just closed */
void request_resume(struct request *request);

/* http_stream.c */
void stream_gone(struct stream *stream);      /* its client has left */
void stream_completed(struct stream *stream); /* MHD has let go of it */
void stream_ping(struct stream *stream);
enum deadline stream_deadline(const struct stream *stream);
void streams_end(struct http *http);  /* breaks all off that do not end by themselves */
void streams_drop(struct http *http); /* closes all */
void streams_end_of(struct http *http, const struct fact_id *caller);
void streams_tell_room(struct deferred *deferred);

#endif
