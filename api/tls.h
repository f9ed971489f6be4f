/*
 * The daemon's identity in TLS: its certificate and key, and whose certificates it believes.
 *
 * Read from PEM files as a whole: an identity is good, or there is none and a sentence says why.
 * It is counted, because the connections that began with it keep it when the files are read again.
 * Nothing of this runs, nor takes memory, unless a listener speaks TLS. Loop thread; the launcher
 * looks at the files before there is a loop.
 */
#ifndef FORKFUL_API_TLS_H
#define FORKFUL_API_TLS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "service/refusal.h"

/* Versions 1.2 and 1.3, forward secrecy, authenticated encryption, no SHA-1. */
#define TLS_PRIORITIES                                                                             \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:"      \
    "+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:" \
    "%PROFILE_MEDIUM"

struct tls_files {
    const char *certificate, *key;    /* NULL: not configured */
    const char *client_ca;            /* NULL: clients show no certificates */
};

struct tls_identity {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    bool asks_clients;                /* for a certificate, which they need not have */
    unsigned users;
};

/* With one user. `fresh`: it must be valid now, too; a server that is started again takes what its
   predecessor had. NULL: the refusal names the file. */
struct tls_identity *tls_identity_load(const struct tls_files *files, bool fresh,
                                       struct refusal *refusal);
void tls_identity_drop(struct tls_identity *identity); /* one user less; NULL is none */

/* A server's session over this socket, which does not block; its handshake is still to come. For
   gnutls_deinit; the identity must outlive it. NULL: no memory. */
gnutls_session_t tls_session_begin(const struct tls_identity *identity, int fd);

/* Who a client is, by its certificate. */
struct tls_subject {
    char *name;                       /* the whole distinguished name as of RFC 4514; owned */
    char *common_name;                /* NULL: there is none, or more than one; owned */
};

/* Of a session whose handshake is over, and which has verified the certificate. False: there is
   none, or no memory. */
bool tls_subject_read(gnutls_session_t session, struct tls_subject *out);
void tls_subject_free(struct tls_subject *subject);
/* `rule` is the whole name, or "CN=" and the common name. */
bool tls_subject_is(const struct tls_subject *subject, const char *rule);

#endif
