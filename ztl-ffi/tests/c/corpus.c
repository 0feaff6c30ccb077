/* Asks a policy the questions of a file, one a line, and prints the answers: see ../corpus/README.md.
 *
 *     corpus POLICY REQUESTS [CERTIFICATES]
 *
 * Callers are taken at somebody's word. Where there is a folder of certificates, who answers a call and who passes ids on is proved. */

#include "ztl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1790000000)
#define LASTS 3600
/* Eight of a line, and two more of one that was generated: how it is asked, and what a token says. */
#define FIELDS 10
#define FEWER 8
#define HEADERS 16

static const char *const STAGES[] = {"none", "identity", "flow", "action"};
static const char *const REASONS[] = {
    "not_judged", "permitted", "identity_unproven", "identity_expired", "identity_revoked", "zone_unknown", "zone_mismatch",
    "no_flow_permitted", "flow_withdrawn", "path_ambiguous", "no_action_permitted", "forbidden", "requirement_unmet",
    "evidence_missing", "evidence_stale", "objected", "authorizer_failed", "clock_untrusted", "audit_unavailable",
    "forwarded_untrusted", "obligation_unknown", "limit_exceeded", "body_too_large", "body_unfit", "misdirected"};

/* Where the certificates are; nowhere, where nobody shows one. */
static const char *folder;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static ztl_str maybe(const char *text)
{
    ztl_str absent = {NULL, 0};
    return strcmp(text, "-") == 0 ? absent : ztl_str_of(text);
}

static void print(const ztl_decision *decision)
{
    const char *reason = decision->reason < sizeof REASONS / sizeof *REASONS ? REASONS[decision->reason] : "other";
    printf("%s\t%s\t%s\t%s\n", decision->permit == 1 ? "permit" : "deny", STAGES[decision->stage], reason,
           decision->rule[0] != '\0' ? decision->rule : "-");
}

/* Cuts a text at each `cut`, in place; how many parts there are. */
static size_t split(char *text, char cut, char **parts, size_t most)
{
    size_t count = 0;
    while (count < most) {
        parts[count++] = text;
        text = strchr(text, cut);
        if (text == NULL) {
            break;
        }
        *text++ = '\0';
    }
    return count;
}

/* Reads `folder/name`, `ended` by what ends it. */
static ztl_str read_file(const char *name, const char *ended, char *into, size_t most)
{
    char path[4096];
    ztl_str read;
    FILE *file;
    size_t i, begin = strlen(folder) + 1;
    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, ended) >= (int)sizeof path) {
        fail("a name is too long");
    }
    for (i = begin; path[i] != '\0'; i++) {
        path[i] = (char)(path[i] == '/' ? '_' : path[i]);
    }
    file = fopen(path, "rb");
    read.ptr = (const uint8_t *)into;
    read.len = file == NULL ? 0 : fread(into, 1, most, file);
    if (read.len == 0 || read.len == most) {
        fail(path);
    }
    fclose(file);
    return read;
}

static int shows_a_certificate(const char *id, const char *how)
{
    const char *last = strrchr(id, '/');
    return folder != NULL && last != NULL && (strcmp(how, "egress") == 0 || strcmp(last, "/gateway") == 0);
}

/* Proves who shows a certificate; of a denial the stage and the reason are known here. */
static ztl_status prove(const ztl_engine *engine, const char *id, const ztl_flow_request *connection, ztl_peer **peer,
                        ztl_decision *decision)
{
    char der[4096];
    ztl_str leaf = read_file(id + strlen("spiffe://"), ".der", der, sizeof der);
    ztl_error *error = NULL;
    ztl_status status = ztl_peer_prove(engine, connection, &leaf, 1, peer, &error);
    if (status == ZTL_DENIED) {
        decision->stage = ZTL_STAGE_IDENTITY;
        decision->reason = ztl_error_reason(error);
    }
    ztl_error_free(error);
    return status;
}

static void trust(const ztl_engine *engine)
{
    static const char *const domains[] = {"prod.example", "old.example", "partner.example", "elsewhere.example"};
    char pem[8192];
    ztl_str authority = read_file("authority", ".pem", pem, sizeof pem);
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        if (ztl_engine_trust(engine, ztl_str_of(domains[i]), authority, NULL) != ZTL_OK) {
            fail("the authority is refused");
        }
    }
}

static void ask(const ztl_engine *engine, char *line)
{
    char *field[FIELDS], *headers[HEADERS];
    ztl_header lent[HEADERS];
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_claims *claims = NULL;
    char *called;
    ztl_flow_request connection = {0};
    ztl_action_request request = {0};
    ztl_decision decision = {0};
    ztl_status status;
    size_t count = 0, i;

    field[FEWER] = field[FEWER + 1] = (char *)"-";
    i = split(line, '\t', field, FIELDS);
    if (i != FEWER && i != FIELDS) {
        fail("a line has too few fields");
    }
    decision.size = sizeof decision;
    connection.size = sizeof connection;
    called = strchr(field[2], '>');
    if (strcmp(field[8], "egress") == 0 && called != NULL) {
        *called++ = '\0';
        connection.to = ztl_str_of(called);
        connection.flags = ZTL_FLOW_EGRESS;
    } else if (strcmp(field[8], "public") == 0) {
        connection.flags = ZTL_FLOW_ANONYMOUS;
    }
    connection.me = ztl_str_of(field[2]);
    connection.port = (uint16_t)strtoul(field[3], NULL, 10);
    connection.from_addr = maybe(field[1]);
    connection.now_unix = NOW;
    status = ZTL_OK;
    if (shows_a_certificate(field[0], field[8])) {
        status = prove(engine, field[0], &connection, &peer, &decision);
    } else if (strcmp(field[0], "-") != 0
               && ztl_peer_assert_dangerous(engine, ztl_str_of(field[0]), ztl_str_of("corpus"), NOW + LASTS, &peer, NULL) != ZTL_OK) {
        fail("a caller is none");
    }
    connection.peer = peer;
    if (status == ZTL_OK) {
        status = ztl_flow_permit(engine, &connection, &flow, &decision, NULL);
    }
    if (status == ZTL_OK) {
        request.size = sizeof request;
        if (strcmp(field[8], "connect") == 0) {
            request.flags = ZTL_ACTION_CONNECT;
        } else {
            request.method = ztl_str_of(field[4]);
            request.target = ztl_str_of(field[5]);
        }
        request.now_unix = NOW;
        if (strcmp(field[9], "-") != 0
            && ztl_claims_assert_dangerous(engine, ztl_str_of(field[9]), NOW + LASTS, &claims, NULL) != ZTL_OK) {
            fail("claims are none");
        }
        request.claims = claims;
        request.trust_score = strcmp(field[6], "-") == 0 ? -1 : (int32_t)strtol(field[6], NULL, 10);
        if (strcmp(field[7], "-") != 0) {
            count = split(field[7], '&', headers, HEADERS);
        }
        for (i = 0; i < count; i++) {
            char *value = strchr(headers[i], '=');
            if (value == NULL) {
                fail("a header has no value");
            }
            *value++ = '\0';
            lent[i].name = ztl_str_of(headers[i]);
            lent[i].value = ztl_str_of(value);
        }
        request.headers = count > 0 ? lent : NULL;
        request.headers_len = count;
        status = ztl_action_authorize(engine, flow, &request, &decision, NULL);
    }
    if ((status == ZTL_OK) != (decision.permit == 1) || (status != ZTL_OK && status != ZTL_DENIED)) {
        fail("a status and its decision do not agree");
    }
    print(&decision);
    ztl_claims_free(claims);
    ztl_flow_free(flow);
    ztl_peer_free(peer);
}

int main(int argc, char **argv)
{
    static char line[16384];
    ztl_engine *engine = NULL;
    ztl_str absent = {NULL, 0};
    FILE *requests;

    if ((argc != 3 && argc != 4)
        || ztl_engine_new_from_file(ztl_str_of(argv[1]), ZTL_FORMAT_TOML, absent, &engine, NULL) != ZTL_OK) {
        fail("the policy is refused");
    }
    if (argc == 4) {
        folder = argv[3];
        trust(engine);
    }
    requests = fopen(argv[2], "r");
    if (requests == NULL) {
        fail("there are no requests");
    }
    while (fgets(line, sizeof line, requests) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        ask(engine, line);
    }
    fclose(requests);
    ztl_engine_free(engine);
    return 0;
}
