/* The identity in TLS; see tls.h. */
#include "api/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/config.h"

enum { CHAIN_MOST = 16 };

/* ---- files ---- */

static gnutls_datum_t datum_of(const char *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)text, .size = (unsigned)strlen(text)};
}

/* As sshd and others have it: who can read the key can be the daemon. */
static bool check_key_mode(const char *path, struct refusal *refusal)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        return refuse(refusal, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return refuse(refusal, "%s: belongs to user %u; the key must belong to the daemon's user or "
                      "root", path, status.st_uid);
    }
    if (status.st_mode & 077) {
        return refuse(refusal, "%s: others than its owner may read or write the key (mode %04o); "
                      "chmod 600 it", path, status.st_mode & 07777);
    }
    return true;
}

static bool refuse_date(struct refusal *refusal, const char *path, const char *what, time_t at)
{
    char text[32];
    struct tm broken;
    gmtime_r(&at, &broken);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &broken);
    return refuse(refusal, "%s: the certificate %s %s", path, what, text);
}

static bool check_dates(const char *path, gnutls_x509_crt_t certificate, struct refusal *refusal)
{
    time_t now = time(NULL), from = gnutls_x509_crt_get_activation_time(certificate);
    time_t until = gnutls_x509_crt_get_expiration_time(certificate);
    if (until <= now) {
        return refuse_date(refusal, path, "expired on", until);
    }
    return from <= now || refuse_date(refusal, path, "is not valid before", from);
}

static bool check_certificate(const char *path, const char *text, bool fresh,
                              struct refusal *refusal)
{
    gnutls_datum_t pem = datum_of(text);
    gnutls_x509_crt_t chain[CHAIN_MOST];
    unsigned count = CHAIN_MOST;
    int error = gnutls_x509_crt_list_import(chain, &count, &pem, GNUTLS_X509_FMT_PEM,
                                            GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (error < 0) {
        return refuse(refusal, "%s: is no certificate in PEM: %s", path, gnutls_strerror(error));
    }
    bool good = !fresh || check_dates(path, chain[0], refusal);
    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    return good;
}

static bool check_key(const char *path, const char *text, struct refusal *refusal)
{
    gnutls_datum_t pem = datum_of(text);
    gnutls_privkey_t key;
    int error = gnutls_privkey_init(&key);
    if (error < 0) {
        return refuse(refusal, "%s: %s", path, gnutls_strerror(error));
    }
    error = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_privkey_deinit(key);
    return error >= 0 || refuse(refusal, "%s: is no private key in PEM, or it has a password: %s",
                                path, gnutls_strerror(error));
}

/* ---- the identity ---- */

static bool take_pair(struct tls_identity *identity, const struct tls_files *files,
                      const char *certificate, const char *key, struct refusal *refusal)
{
    gnutls_datum_t certificate_pem = datum_of(certificate), key_pem = datum_of(key);
    int error = gnutls_certificate_set_x509_key_mem2(identity->credentials, &certificate_pem,
                                                     &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    return error >= 0 || refuse(refusal, "%s: the key does not belong to the certificate %s: %s",
                                files->key, files->certificate, gnutls_strerror(error));
}

static bool load_pair(struct tls_identity *identity, const struct tls_files *files, bool fresh,
                      struct refusal *refusal)
{
    char *certificate = config_file_text(files->certificate, refusal);
    char *key = certificate && check_key_mode(files->key, refusal)
                    ? config_file_text(files->key, refusal)
                    : NULL;
    bool good = key && check_certificate(files->certificate, certificate, fresh, refusal) &&
                check_key(files->key, key, refusal) &&
                take_pair(identity, files, certificate, key, refusal);
    if (key) {
        explicit_bzero(key, strlen(key));
    }
    free(key);
    free(certificate);
    return good;
}

/* Within the handshake: whoever shows a certificate that is not to be believed gets no further. */
static int verify_client(gnutls_session_t session)
{
    gnutls_typed_vdata_st use = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                 .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned count = 0, status = 0;
    if (!gnutls_certificate_get_peers(session, &count) || count == 0) {
        return 0;
    }
    int error = gnutls_certificate_verify_peers(session, &use, 1, &status);
    return error < 0 || status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

static bool load_client_ca(struct tls_identity *identity, const char *path,
                           struct refusal *refusal)
{
    char *text = config_file_text(path, refusal);
    if (!text) {
        return false;
    }
    gnutls_datum_t pem = datum_of(text);
    int count = gnutls_certificate_set_x509_trust_mem(identity->credentials, &pem,
                                                      GNUTLS_X509_FMT_PEM);
    free(text);
    if (count <= 0) {
        return refuse(refusal, "%s: holds no certificate in PEM: %s", path,
                      gnutls_strerror(count));
    }
    gnutls_certificate_set_verify_function(identity->credentials, verify_client);
    identity->asks_clients = true;
    return true;
}

struct tls_identity *tls_identity_load(const struct tls_files *files, bool fresh,
                                       struct refusal *refusal)
{
    struct tls_identity *identity = calloc(1, sizeof *identity);
    if (!files->certificate || !files->key) {
        refuse(refusal, "a listener with TLS needs tls.certificate and tls.key, the paths of PEM "
               "files");
        free(identity);
        return NULL;
    }
    if (!identity || gnutls_certificate_allocate_credentials(&identity->credentials) < 0) {
        refuse(refusal, "there is no memory for the certificate");
        free(identity);
        return NULL;
    }
    identity->users = 1;
    if (gnutls_priority_init(&identity->priorities, TLS_PRIORITIES, NULL) < 0) {
        refuse(refusal, "GnuTLS does not know what TLS it is to speak");
        tls_identity_drop(identity);
        return NULL;
    }
    if (!load_pair(identity, files, fresh, refusal) ||
        (files->client_ca && !load_client_ca(identity, files->client_ca, refusal))) {
        tls_identity_drop(identity);
        return NULL;
    }
    return identity;
}

void tls_identity_drop(struct tls_identity *identity)
{
    if (identity && --identity->users == 0) {
        gnutls_certificate_free_credentials(identity->credentials);
        gnutls_priority_deinit(identity->priorities);
        free(identity);
    }
}

/* ---- sessions ---- */

static bool session_fill(gnutls_session_t session, const struct tls_identity *identity)
{
    static const gnutls_datum_t http = {(unsigned char *)"http/1.1", sizeof "http/1.1" - 1};
    gnutls_certificate_server_set_request(session, identity->asks_clients ? GNUTLS_CERT_REQUEST
                                                                          : GNUTLS_CERT_IGNORE);
    return gnutls_priority_set(session, identity->priorities) >= 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, identity->credentials) >= 0 &&
           gnutls_alpn_set_protocols(session, &http, 1, 0) >= 0;
}

gnutls_session_t tls_session_begin(const struct tls_identity *identity, int fd)
{
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                                  GNUTLS_NO_TICKETS) < 0) {
        return NULL;
    }
    if (!session_fill(session, identity)) {
        gnutls_deinit(session);
        return NULL;
    }
    gnutls_transport_set_int(session, fd);
    return session;
}

/* ---- clients ---- */

/* Of its only value; NULL: none, several, a NUL in it, or no memory. */
static char *read_common_name(gnutls_x509_crt_t certificate)
{
    char text[256], other[1];
    size_t bytes = sizeof text, more = sizeof other;
    if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text,
                                      &bytes) < 0 ||
        gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 1, 0, other,
                                      &more) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
        strlen(text) != bytes) {
        return NULL;
    }
    return strdup(text);
}

static char *read_name(gnutls_x509_crt_t certificate)
{
    gnutls_datum_t name;
    if (gnutls_x509_crt_get_dn3(certificate, &name, 0) < 0) {
        return NULL;
    }
    char *copy = strndup((const char *)name.data, name.size);
    gnutls_free(name.data);
    return copy;
}

bool tls_subject_read(gnutls_session_t session, struct tls_subject *out)
{
    unsigned count = 0;
    gnutls_x509_crt_t certificate;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    *out = (struct tls_subject){.name = NULL};
    if (!shown || count == 0 || gnutls_x509_crt_init(&certificate) < 0) {
        return false;
    }
    if (gnutls_x509_crt_import(certificate, &shown[0], GNUTLS_X509_FMT_DER) >= 0) {
        out->name = read_name(certificate);
        out->common_name = read_common_name(certificate);
    }
    gnutls_x509_crt_deinit(certificate);
    return out->name && *out->name;
}

void tls_subject_free(struct tls_subject *subject)
{
    free(subject->name);
    free(subject->common_name);
    *subject = (struct tls_subject){.name = NULL};
}

/* What a whole name is written with: a rule that holds one of these is not a common name, lest a common
   name such as "a,O=b" passes for a whole one. */
#define NAME_MARKS ",+;\\\"<>"

bool tls_subject_is(const struct tls_subject *subject, const char *rule)
{
    if (strcmp(subject->name, rule) == 0) {
        return true;
    }
    return subject->common_name && strncmp(rule, "CN=", 3) == 0 && !strpbrk(rule, NAME_MARKS) &&
           strcmp(subject->common_name, rule + 3) == 0;
}
