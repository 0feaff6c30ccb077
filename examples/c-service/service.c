/* The model server of five-workloads, in C: OpenSSL speaks TLS, ztl proves, permits and authorizes. Who may infer and who may swap a
   model stands in the policy, and not here. */

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

enum { MAX_CHAIN = 16, MAX_CONNECTIONS = 64, SECONDS = 10 };

static ztl_engine *engine;
static SSL_CTX *tls;
static uint16_t port;
static atomic_int connections;
static atomic_int release_of_tiny = 1;

static uint64_t now(void) { return (uint64_t)time(NULL); }

/* Milliseconds of a clock that nobody sets. */
static int64_t ticks(void)
{
    struct timespec at = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static void fail(const char *what, ztl_error *error)
{
    const uint8_t *text = NULL;
    size_t len = 0;
    if (error == NULL || ztl_error_message(error, &text, &len) != ZTL_OK) {
        fprintf(stderr, "%s\n", what);
    } else {
        fprintf(stderr, "%s: %.*s\n", what, (int)len, (const char *)text);
    }
    exit(1);
}

/* --- certificates ------------------------------------------------------------------------------------------------------------ */

/* Certificates in DER, as ztl takes them, at most one more than it looks at. */
typedef struct chain {
    ztl_str ders[MAX_CHAIN + 1];
    size_t len;
} chain;

/* -1 where it cannot be given: a chain without it is another, which may begin with what the caller sent second. */
static int chain_add(chain *chain, X509 *certificate)
{
    unsigned char *der = NULL;
    int len;
    if (certificate == NULL) {
        return -1;
    }
    if (chain->len > MAX_CHAIN) {
        return 0; /* refused for its length */
    }
    if ((len = i2d_X509(certificate, &der)) <= 0) {
        return -1;
    }
    chain->ders[chain->len].ptr = der;
    chain->ders[chain->len].len = (size_t)len;
    chain->len++;
    return 0;
}

/* A leaf and what came with it; -1 where one of them is missing. */
static int chain_of(chain *chain, X509 *leaf, const STACK_OF(X509) *others)
{
    int missing = chain_add(chain, leaf);
    for (int i = 0; missing == 0 && i < sk_X509_num(others); i++) {
        missing = chain_add(chain, sk_X509_value(others, i));
    }
    return missing;
}

static void chain_free(chain *chain)
{
    while (chain->len > 0) {
        OPENSSL_free((void *)chain->ders[--chain->len].ptr);
    }
}

/* OpenSSL checks that the caller holds the key of its certificate, and that it shows one; who that is, ztl says. */
static int accept_any(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* --- one connection ---------------------------------------------------------------------------------------------------------- */

typedef struct connection {
    int socket;
    int64_t until; /* when it ends, whatever it is at */
    SSL *ssl;
    char from[64]; /* in digits, without a zone */
} connection;

/* Whether OpenSSL can go on with what came to `result`, once there is something to read, or room to write. */
static int goes_on(const connection *c, int result)
{
    struct pollfd wait = {c->socket, 0, 0};
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        wait.events = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        wait.events = POLLOUT;
        break;
    default:
        return 0;
    }
    const int64_t left = c->until - ticks();
    ERR_clear_error();
    return left > 0 && poll(&wait, 1, (int)left) == 1;
}

static int shake_hands(const connection *c)
{
    int got;
    do {
        got = SSL_accept(c->ssl);
    } while (got != 1 && goes_on(c, got));
    return got == 1;
}

/* How much was read; 0 where no more comes, or too late. */
static size_t take(const connection *c, char *to, size_t room)
{
    int got = -1;
    while (ticks() < c->until && (got = SSL_read(c->ssl, to, (int)room)) <= 0 && goes_on(c, got)) {
    }
    return got > 0 ? (size_t)got : 0;
}

static void give(const connection *c, const char *text, int len)
{
    int gave;
    do {
        gave = SSL_write(c->ssl, text, len);
    } while (gave <= 0 && goes_on(c, gave));
}

/* Proves the caller and permits its flow; NULL where there is none. `who` receives its id. */
static ztl_flow *permitted(const connection *c, char *who, size_t room)
{
    chain shown = {0};
    X509 *leaf = SSL_get1_peer_certificate(c->ssl);
    const STACK_OF(X509) *others = SSL_get_peer_cert_chain(c->ssl); /* on a server without the leaf */
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_decision decision = {0};
    ztl_flow_request request = {0};
    const uint8_t *id = NULL;
    size_t id_len = 0;
    if (chain_of(&shown, leaf, others) != 0) {
        chain_free(&shown); /* an empty chain is denied, and recorded */
    }
    decision.size = sizeof decision;
    request.size = sizeof request;
    request.me = ztl_str_of("model-server");
    request.port = port;
    request.from_addr = ztl_str_of(c->from);
    request.now_unix = now();
    if (ztl_peer_prove(engine, &request, shown.ders, shown.len, &peer, NULL) == ZTL_OK) {
        request.peer = peer;
        if (ztl_flow_permit(engine, &request, &flow, &decision, NULL) == ZTL_OK && ztl_peer_id(peer, &id, &id_len) == ZTL_OK) {
            snprintf(who, room, "%.*s", (int)id_len, (const char *)id);
        }
    }
    ztl_peer_free(peer);
    chain_free(&shown);
    X509_free(leaf);
    return flow;
}

static void answer(const connection *c, const char *status, const char *type, const char *body)
{
    char text[1024];
    const int len = snprintf(text, sizeof text,
                             "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n%s", status, type,
                             strlen(body), body);
    if (len > 0 && (size_t)len < sizeof text) {
        give(c, text, len);
    }
}

/* The caller learns that it is denied, and the id to ask the operator about: nothing else. Where a call failed there is no decision,
   and no id that a record has. */
static void refuse(const connection *c, const ztl_decision *decision)
{
    char body[128], id[33], member[64] = "";
    for (size_t i = 0; i < sizeof decision->id; i++) {
        snprintf(id + 2 * i, 3, "%02x", decision->id[i]);
    }
    if (strspn(id, "0") < strlen(id)) {
        snprintf(member, sizeof member, ",\"decision\":\"%s\"", id);
    }
    const char *status = decision->reason == ZTL_REASON_PATH_AMBIGUOUS ? "400 Bad Request"
                         : decision->reason == ZTL_REASON_MISDIRECTED  ? "421 Misdirected Request"
                                                                       : "403 Forbidden";
    snprintf(body, sizeof body, "{\"type\":\"about:blank\",\"status\":%.3s%s}", status, member);
    answer(c, status, "application/problem+json", body);
}

/* What the policy permits comes here, and nothing else. */
static void serve(const connection *c, const request *request, const char *who)
{
    char model[64], body[512];
    printf("served %s\n", who);
    fflush(stdout);
    if (is(request->method, "POST") && matches(request->target, "/v1/models/", "/infer", model, sizeof model)) {
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"release\":%d,\"for\":\"%s\"}", model, atomic_load(&release_of_tiny), who);
    } else if (is(request->method, "PUT") && matches(request->target, "/v1/models/", "", model, sizeof model)) {
        atomic_fetch_add(&release_of_tiny, 1);
        snprintf(body, sizeof body, "{\"swapped\":\"%s\",\"by\":\"%s\"}", model, who);
    } else {
        answer(c, "404 Not Found", "application/json", "{}");
        return;
    }
    answer(c, "200 OK", "application/json", body);
}

/* Judges a request, or, where it could not be read, has the refusal of a proved caller recorded. */
static void judge(const connection *c, const ztl_flow *flow, const request *asked, int readable, const char *who)
{
    ztl_decision decision = {0};
    ztl_action_request request = {0};
    decision.size = sizeof decision;
    request.size = sizeof request;
    request.method = asked->method;
    request.target = asked->target; /* raw: a path that was decoded is another path */
    request.headers = asked->fields;
    request.headers_len = asked->fields_len;
    request.now_unix = now();
    request.trust_score = -1;
    const ztl_status status = readable ? ztl_action_authorize(engine, flow, &request, &decision, NULL)
                                       : ztl_action_refuse(engine, flow, &request, ZTL_REASON_PATH_AMBIGUOUS, &decision, NULL);
    if (status == ZTL_OK) {
        serve(c, asked, who);
    } else {
        refuse(c, &decision);
    }
}

/* How long the head of a request is; 0 where its end has not come. */
static size_t head_len(const char *head, size_t len)
{
    for (size_t at = 4; at <= len; at++) {
        if (memcmp(head + at - 4, "\r\n\r\n", 4) == 0) {
            return at;
        }
    }
    return 0;
}

/* The one request of a connection, so that no permit is ever older than that. */
static void talk(const connection *c, const ztl_flow *flow, const char *who)
{
    char head[MAX_HEAD], body[1024];
    request request;
    size_t len = 0, begin = 0;
    while (begin == 0) {
        const size_t got = take(c, head + len, MAX_HEAD - len);
        if (got == 0) {
            return;
        }
        len += got;
        begin = head_len(head, len);
        if (begin == 0 && len == MAX_HEAD) {
            begin = len; /* a head that is longer is none that can be read */
        }
    }
    const int readable = request_read(&request, head, begin) == 0;
    /* This model reads no body, and takes it off the wire all the same. */
    for (size_t read = len - begin; readable && read < request.body_len;) {
        const size_t got = take(c, body, sizeof body);
        if (got == 0) {
            return;
        }
        read += got;
    }
    judge(c, flow, &request, readable, who);
}

static void *connected(void *given)
{
    connection *c = given;
    char who[2049] = "";
    c->ssl = SSL_new(tls);
    if (c->ssl != NULL && SSL_set_fd(c->ssl, c->socket) == 1 && shake_hands(c)) {
        ztl_flow *flow = permitted(c, who, sizeof who);
        if (flow != NULL) {
            talk(c, flow, who);
            ztl_flow_free(flow);
            (void)SSL_shutdown(c->ssl);
        }
    }
    SSL_free(c->ssl);
    close(c->socket);
    free(c);
    atomic_fetch_sub(&connections, 1);
    return NULL;
}

/* --- the whole --------------------------------------------------------------------------------------------------------------- */

static void load(const char *folder, const char *policy)
{
    char path[4096];
    static char bundle[1 << 20]; /* as much as the library takes */
    ztl_str text;
    ztl_error *error = NULL;
    chain own = {0};
    uint64_t expires = 0;
    FILE *file;
    STACK_OF(X509) *others = NULL;

    snprintf(path, sizeof path, "%s/model-server.jsonl", folder);
    if (ztl_engine_new_from_file(ztl_str_of(policy), ZTL_FORMAT_TOML, ztl_str_of(path), &engine, &error) != ZTL_OK) {
        fail("the policy", error);
    }
    snprintf(path, sizeof path, "%s/bundle.pem", folder);
    if ((file = fopen(path, "rb")) == NULL) {
        fail(path, NULL);
    }
    text.ptr = (const uint8_t *)bundle;
    text.len = fread(bundle, 1, sizeof bundle, file);
    /* A full buffer may be a cut bundle: the authorities at its end would be missing without a word. */
    if (ferror(file) || text.len == sizeof bundle) {
        fail("the bundle cannot be read, or is larger than this service takes", NULL);
    }
    fclose(file);
    if (ztl_engine_trust(engine, ztl_str_of("prod.example"), text, &error) != ZTL_OK) {
        fail("the bundle", error);
    }

    tls = SSL_CTX_new(TLS_server_method());
    snprintf(path, sizeof path, "%s/model-server.pem", folder);
    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 || SSL_CTX_use_certificate_chain_file(tls, path) != 1) {
        fail(path, NULL);
    }
    snprintf(path, sizeof path, "%s/model-server.key", folder);
    if (SSL_CTX_use_PrivateKey_file(tls, path, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(tls) != 1) {
        fail(path, NULL);
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(tls, accept_any, NULL);
    /* A resumed session shows no certificates: none is resumed. */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(tls, 0);

    SSL_CTX_get0_chain_certs(tls, &others);
    if (chain_of(&own, SSL_CTX_get0_certificate(tls), others) != 0) {
        fail("the own SVID cannot be read", NULL);
    }
    if (ztl_svid_check(engine, ztl_str_of("model-server"), own.ders, own.len, now(), &expires, &error) != ZTL_OK) {
        fail("the own SVID", error);
    }
    chain_free(&own);
}

/* An address in digits. A link-local one of IPv6 comes with its zone, as fe80::1%eth0, which is the link's and not the address's. */
static int numeric(char *text, size_t room, const struct sockaddr *from, socklen_t len)
{
    if (getnameinfo(from, len, text, (socklen_t)room, NULL, 0, NI_NUMERICHOST) != 0) {
        return -1;
    }
    text[strcspn(text, "%")] = '\0';
    return 0;
}

static int listen_at(const char *host, const char *service)
{
    struct addrinfo hints = {0}, *found = NULL;
    const int on = 1;
    int listener = -1;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
    if (getaddrinfo(host, service, &hints, &found) == 0) {
        listener = socket(found->ai_family, SOCK_STREAM, 0);
        if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
            || bind(listener, found->ai_addr, found->ai_addrlen) != 0 || listen(listener, 64) != 0) {
            fail("cannot listen there", NULL);
        }
        freeaddrinfo(found);
    }
    return listener;
}

int main(int argc, char **argv)
{
    if (argc != 5 || ztl_abi_version() != ZTL_ABI_VERSION) {
        fail("usage: service FOLDER POLICY HOST PORT, with the library that its header belongs to", NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    load(argv[1], argv[2]);
    port = (uint16_t)strtoul(argv[4], NULL, 10);
    const int listener = listen_at(argv[3], argv[4]);
    if (listener < 0) {
        fail("HOST is no address", NULL);
    }
    for (;;) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        pthread_t thread;
        connection *c = calloc(1, sizeof *c);
        if (c == NULL || (c->socket = accept(listener, (struct sockaddr *)&from, &len)) < 0) {
            /* Out of memory or of descriptors: until a connection ends, another try fails as this one did. */
            const struct timespec pause = {0, 100 * 1000 * 1000};
            free(c);
            (void)nanosleep(&pause, NULL);
            continue;
        }
        /* Whoever gives nothing to read, or one byte now and then, holds a thread for a few seconds (T35), and there are not more of
           them than this. */
        c->until = ticks() + SECONDS * 1000;
        if (atomic_fetch_add(&connections, 1) < MAX_CONNECTIONS
            && numeric(c->from, sizeof c->from, (struct sockaddr *)&from, len) == 0
            && fcntl(c->socket, F_SETFL, O_NONBLOCK) == 0
            && pthread_create(&thread, NULL, connected, c) == 0) {
            pthread_detach(thread);
        } else {
            atomic_fetch_sub(&connections, 1);
            close(c->socket);
            free(c);
        }
    }
}
