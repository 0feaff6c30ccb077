/* Asks a policy the questions of a file, one a line, and prints the answers: see ../corpus/README.md.
 *
 *     corpus POLICY REQUESTS */

#include "ztl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1790000000)
#define FIELDS 8
#define HEADERS 16

static const char *const STAGES[] = {"none", "identity", "flow", "action"};
static const char *const REASONS[] = {
    "not_judged", "permitted", "identity_unproven", "identity_expired", "identity_revoked", "zone_unknown", "zone_mismatch",
    "no_flow_permitted", "flow_withdrawn", "path_ambiguous", "no_action_permitted", "forbidden", "requirement_unmet",
    "evidence_missing", "evidence_stale", "objected", "authorizer_failed", "clock_untrusted", "audit_unavailable",
    "forwarded_untrusted", "obligation_unknown"};

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

static void ask(const ztl_engine *engine, char *line)
{
    char *field[FIELDS], *headers[HEADERS];
    ztl_header lent[HEADERS];
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_flow_request connection = {0};
    ztl_action_request request = {0};
    ztl_decision decision = {0};
    ztl_status status;
    size_t count = 0, i;

    if (split(line, '\t', field, FIELDS) != FIELDS) {
        fail("a line has too few fields");
    }
    if (strcmp(field[0], "-") != 0
        && ztl_peer_assert_dangerous(engine, ztl_str_of(field[0]), ztl_str_of("corpus"), NOW + 3600, &peer, NULL) != ZTL_OK) {
        fail("a caller is none");
    }
    decision.size = sizeof decision;
    connection.size = sizeof connection;
    connection.me = ztl_str_of(field[2]);
    connection.port = (uint16_t)strtoul(field[3], NULL, 10);
    connection.peer = peer;
    connection.from_addr = maybe(field[1]);
    connection.now_unix = NOW;
    status = ztl_flow_permit(engine, &connection, &flow, &decision, NULL);
    if (status == ZTL_OK) {
        request.size = sizeof request;
        request.method = ztl_str_of(field[4]);
        request.target = ztl_str_of(field[5]);
        request.now_unix = NOW;
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
    ztl_flow_free(flow);
    ztl_peer_free(peer);
}

int main(int argc, char **argv)
{
    static char line[16384];
    ztl_engine *engine = NULL;
    ztl_str absent = {NULL, 0};
    FILE *requests;

    if (argc != 3 || ztl_engine_new_from_file(ztl_str_of(argv[1]), ZTL_FORMAT_TOML, absent, &engine, NULL) != ZTL_OK) {
        fail("the policy is refused");
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
