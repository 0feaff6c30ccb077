/* One walk through ztl.h: a policy from a string, a permit, a denial, calls that are refused, tokens, and another policy.
 *
 * C11 and C++17. Exits with 0 if all came out as it should. With -DTOKENS=1 a library that verifies no tokens does not pass. */

#include "ztl.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW UINT64_C(1790000000)
#if !defined(TOKENS)
#define TOKENS 0
#endif

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static const char *const WORKLOADS =
    "schema = 1\n"
    "trust_domain = 'prod.example'\n"
    "[workloads.router]\n"
    "id = 'spiffe://prod.example/router'\n"
    "[workloads.model-server]\n"
    "id = 'spiffe://prod.example/model-server'\n"
    "ports = [8443]\n"
    "asserted_by = ['smoke']\n";

static const char *const PERMIT =
    "[[permit]]\n"
    "name = 'router-infers'\n"
    "from = 'router'\n"
    "to = 'model-server'\n"
    "actions = ['POST /v1/models/{model}/infer']\n"
    "[issuers.sso]\n"
    "issuer = 'https://sso.example'\n"
    "audience = 'model-server'\n"
    "[[permit]]\n"
    "name = 'readers-read'\n"
    "from = 'router'\n"
    "to = 'model-server'\n"
    "actions = ['GET /v1/secrets']\n"
    "[permit.require]\n"
    "token = { issuer = 'sso', scopes = ['read'] }\n";

/* The key of an issuer, and what it signed with it: {"iss":"https://sso.example","sub":"alice","aud":"model-server","scope":"read",
 * "exp":NOW + 600}. Nobody has its private key. */
static const char *const KEYS =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"use\":\"sig\","
    "\"kid\":\"one\",\"x\":\"1fS_8hrTdfGJxpFl-1yrhhEmdXzh_47Zf_8nDNYwUjk\",\"y\":\"SJjgHmFek2Qj2fzVl2KYXsLakd999C0QrXRSdpHHtuI\"}]}";
#define SIGNED                                                                           \
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSIsInR5cCI6ImF0K2p3dCJ9"                                 \
    ".eyJpc3MiOiJodHRwczovL3Nzby5leGFtcGxlIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJtb2RlbC1zZXJ2" \
    "ZXIiLCJzY29wZSI6InJlYWQiLCJleHAiOjE3OTAwMDA2MDB9"
static const char *const TOKEN =
    SIGNED ".DuJEBgUEaDeCEdxIDM9ljBF5aOMWngWwPypTOuezeNUnm2CymBJazfQv22N6wF0-2Nffl_xS8pRVoEkcUmLfhA";
/* One letter of the signature is another. */
static const char *const FORGED =
    SIGNED ".EuJEBgUEaDeCEdxIDM9ljBF5aOMWngWwPypTOuezeNUnm2CymBJazfQv22N6wF0-2Nffl_xS8pRVoEkcUmLfhA";

/* The layout that the library was built with. */
#if defined(__cplusplus)
#define STATIC_ASSERT static_assert
#else
#define STATIC_ASSERT _Static_assert
#endif
STATIC_ASSERT(sizeof(ztl_decision) == 112, "ztl_decision");
STATIC_ASSERT(offsetof(ztl_decision, permit) == 4, "ztl_decision.permit");
STATIC_ASSERT(offsetof(ztl_decision, id) == 16, "ztl_decision.id");
STATIC_ASSERT(offsetof(ztl_decision, rule) == 40, "ztl_decision.rule");
STATIC_ASSERT(ZTL_OK == 0 && ZTL_DENIED < 0 && ZTL_ERR_ARG < 0, "a status below 0 is a no");

/* Prints an error and frees it; says whether there was one, with this code. */
static int is_error(ztl_error *error, ztl_status code)
{
    const uint8_t *text = NULL;
    size_t len = 0;
    int is_it = error != NULL && ztl_error_code(error) == code;
    if (ztl_error_message(error, &text, &len) == ZTL_OK) {
        printf("  %.*s\n", (int)len, (const char *)text);
    }
    ztl_error_free(error);
    return is_it;
}

static ztl_engine *engine_of(const char *policy)
{
    ztl_engine *engine = NULL;
    ztl_error *error = NULL;
    ztl_status status = ztl_engine_new(ztl_str_of(policy), ZTL_FORMAT_TOML, ztl_str_of(NULL), &engine, &error);
    CHECK(status == ZTL_OK);
    CHECK(engine != NULL && error == NULL);
    return engine;
}

/* Asks for POST to this target; the decision holds a permit before it is asked. */
static ztl_status ask(const ztl_engine *engine, const ztl_flow *flow, const char *target, ztl_decision *decision,
                      ztl_error **error)
{
    ztl_action_request request;
    memset(&request, 0, sizeof request);
    request.size = (uint32_t)sizeof request;
    request.method = ztl_str_of("POST");
    request.target = ztl_str_of(target);
    request.now_unix = NOW;
    request.trust_score = -1;
    memset(decision, 1, sizeof *decision);
    decision->size = (uint32_t)sizeof *decision;
    return ztl_action_authorize(engine, flow, &request, decision, error);
}

/* Counts records. */
static int32_t count(void *context, const uint8_t *line, size_t len)
{
    CHECK(len > 2 && line[0] == '{' && line[len - 1] == '}');
    *(int *)context += 1;
    return 0;
}

/* Checks that a text is JSON, by its ends, and frees it. */
static void is_json(ztl_status status, ztl_text *text)
{
    const uint8_t *ptr = NULL;
    size_t len = 0;
    CHECK(status == ZTL_OK && text != NULL);
    status = ztl_text_bytes(text, &ptr, &len);
    CHECK(status == ZTL_OK && len > 2 && ptr[0] == '{' && ptr[len - 1] == '}');
    ztl_text_free(text);
}

/* A token that is none: with which status it is refused. */
static void no_token(const ztl_engine *engine, const ztl_flow *flow, const char *token, uint64_t now, ztl_status wanted)
{
    ztl_claims *claims = (ztl_claims *)(void *)&wanted;
    ztl_error *error = NULL;
    ztl_status status = ztl_token_verify(engine, flow, ztl_str_of(token), now, &claims, &error);
    CHECK(status == wanted && claims == NULL);
    CHECK(is_error(error, wanted));
}

/* Asks for what only a token opens; the decision holds a permit before it is asked. */
static ztl_status read_secrets(const ztl_engine *engine, const ztl_flow *flow, const ztl_claims *claims, ztl_decision *decision)
{
    ztl_action_request request;
    memset(&request, 0, sizeof request);
    request.size = (uint32_t)sizeof request;
    request.method = ztl_str_of("GET");
    request.target = ztl_str_of("/v1/secrets");
    request.now_unix = NOW;
    request.trust_score = -1;
    request.claims = claims;
    memset(decision, 1, sizeof *decision);
    decision->size = (uint32_t)sizeof *decision;
    return ztl_action_authorize(engine, flow, &request, decision, NULL);
}

/* A good token opens what its rule names, and a bad one nothing. */
static void tokens(const ztl_engine *engine, const ztl_flow *flow)
{
    ztl_issuer issuer;
    ztl_claims *claims = NULL;
    ztl_error *error = NULL;
    ztl_decision decision;
    ztl_status status;

    memset(&issuer, 0, sizeof issuer);
    issuer.size = (uint32_t)sizeof issuer;
    issuer.kind = ZTL_TOKEN_ACCESS;
    issuer.name = ztl_str_of("sso");
    issuer.iss = ztl_str_of("https://sso.example");
    issuer.audience = ztl_str_of("model-server");
    issuer.jwks = ztl_str_of(KEYS);
    status = ztl_engine_issuer(engine, &issuer, &error);
    if (status == ZTL_ERR_UNSUPPORTED && !TOKENS) {
        CHECK(is_error(error, ZTL_ERR_UNSUPPORTED));
        no_token(engine, flow, TOKEN, NOW, ZTL_ERR_UNSUPPORTED);
        status = read_secrets(engine, flow, NULL, &decision);
        CHECK(status == ZTL_DENIED && decision.permit == 0 && decision.reason == ZTL_REASON_EVIDENCE_MISSING);
        return;
    }
    CHECK(status == ZTL_OK && error == NULL);
    status = read_secrets(engine, flow, NULL, &decision);
    CHECK(status == ZTL_DENIED && decision.permit == 0 && decision.reason == ZTL_REASON_EVIDENCE_MISSING);
    status = ztl_token_verify(engine, flow, ztl_str_of(TOKEN), NOW, &claims, &error);
    CHECK(status == ZTL_OK && claims != NULL && error == NULL);
    status = read_secrets(engine, flow, claims, &decision);
    CHECK(status == ZTL_OK && decision.permit == 1 && strcmp(decision.rule, "readers-read") == 0);
    ztl_claims_free(claims);
    no_token(engine, flow, FORGED, NOW, ZTL_ERR_TOKEN);
    no_token(engine, flow, TOKEN, NOW + 3600, ZTL_ERR_TOKEN);
    no_token(engine, flow, "a.b.c", NOW, ZTL_ERR_TOKEN);
}

/* Everything that decides nothing. */
static void look(const ztl_engine *engine, const ztl_flow_request *connection, const ztl_flow *flow, const char *policy)
{
    ztl_action_request request;
    ztl_text *text = NULL;
    ztl_claims *claims = NULL;
    ztl_error *error = NULL;
    ztl_engine *other = NULL;
    ztl_flow *none = NULL;
    ztl_decision decision;
    ztl_flow_request nobody;
    const uint8_t *ptr = NULL;
    size_t len = 0;
    int records = 0;
    ztl_status status;

    memset(&request, 0, sizeof request);
    request.size = (uint32_t)sizeof request;
    request.method = ztl_str_of("GET");
    request.target = ztl_str_of("/v1/models");
    request.trust_score = 70;
    status = ztl_explain(engine, connection, &request, ztl_str_of(policy), &text, NULL);
    is_json(status, text);
    status = ztl_reach(engine, ztl_str_of("router"), &text, NULL);
    is_json(status, text);
    status = ztl_diff(engine, ztl_str_of(WORKLOADS), ZTL_FORMAT_TOML, &text, NULL);
    is_json(status, text);
    status = ztl_peer_id(connection->peer, &ptr, &len);
    CHECK(status == ZTL_OK && len == strlen("spiffe://prod.example/router"));

    /* A vouched claim is evidence. */
    status = ztl_claims_assert_dangerous(engine, ztl_str_of("{\"sub\": \"alice\"}"), NOW + 60, &claims, NULL);
    CHECK(status == ZTL_OK && claims != NULL);
    memset(&decision, 1, sizeof decision);
    decision.size = (uint32_t)sizeof decision;
    request.claims = claims;
    request.now_unix = NOW;
    status = ztl_action_authorize(engine, flow, &request, &decision, &error);
    CHECK(status == ZTL_DENIED && decision.permit == 0 && ztl_error_reason(error) == decision.reason);
    CHECK(is_error(error, ZTL_DENIED));
    status = ztl_action_refuse(engine, flow, &request, ZTL_REASON_OBJECTED, &decision, &error);
    CHECK(status == ZTL_DENIED && decision.permit == 0 && decision.reason == ZTL_REASON_OBJECTED);
    CHECK(is_error(error, ZTL_DENIED));
    ztl_claims_free(claims);
    tokens(engine, flow);

    /* Records that go to a function. */
    status = ztl_engine_new_with_audit(ztl_str_of(policy), ZTL_FORMAT_TOML, count, &records, &other, &error);
    CHECK(status == ZTL_OK && other != NULL);
    nobody = *connection;
    nobody.peer = NULL;
    status = ztl_flow_permit(other, &nobody, &none, &decision, NULL);
    CHECK(status == ZTL_DENIED && none == NULL && records == 1);
    ztl_engine_free(other);
    status = ztl_engine_new_from_file(ztl_str_of("nowhere.toml"), ZTL_FORMAT_TOML, ztl_str_of(NULL), &other, NULL);
    CHECK(status == ZTL_ERR_POLICY && other == NULL);
}

int main(void)
{
    char policy[2048];
    ztl_engine *engine;
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_error *error = NULL;
    ztl_flow_request request;
    ztl_decision decision;
    ztl_status status;
    uint8_t id[16];

    CHECK(ztl_abi_version() == ZTL_ABI_VERSION);
    printf("ztl %s\n", ztl_version());

    CHECK(snprintf(policy, sizeof policy, "%s%s", WORKLOADS, PERMIT) < (int)sizeof policy);
    engine = engine_of(policy);

    /* The host vouches for the peer, and the policy says that it may. */
    status = ztl_peer_assert_dangerous(engine, ztl_str_of("spiffe://prod.example/router"), ztl_str_of("smoke"),
                                       NOW + 60, &peer, &error);
    CHECK(status == ZTL_OK && peer != NULL && error == NULL);

    /* A flow is permitted. */
    memset(&request, 0, sizeof request);
    request.size = (uint32_t)sizeof request;
    request.port = 8443;
    request.me = ztl_str_of("model-server");
    request.peer = peer;
    request.from_addr = ztl_str_of("10.10.0.7");
    request.now_unix = NOW;
    memset(&decision, 0, sizeof decision);
    decision.size = (uint32_t)sizeof decision;
    status = ztl_flow_permit(engine, &request, &flow, &decision, &error);
    CHECK(status == ZTL_OK && flow != NULL && decision.permit == 1 && error == NULL);
    CHECK(strcmp(decision.rule, "router-infers") == 0);

    /* An action is authorized, another denied. */
    status = ask(engine, flow, "/v1/models/llama/infer", &decision, &error);
    CHECK(status == ZTL_OK && decision.permit == 1 && decision.reason == ZTL_REASON_PERMITTED);
    CHECK(strcmp(decision.rule, "router-infers") == 0);
    CHECK(decision.expires_unix == NOW + 60);
    status = ask(engine, flow, "/v1/models/llama/delete", &decision, &error);
    CHECK(status == ZTL_DENIED && decision.permit == 0 && decision.reason == ZTL_REASON_NO_ACTION_PERMITTED);
    CHECK(ztl_error_decision(error, &id) == ZTL_OK && memcmp(id, decision.id, sizeof id) == 0);
    CHECK(is_error(error, ZTL_DENIED));

    look(engine, &request, flow, policy);

    /* Wrong pointers are refused, and the decision says so. */
    status = ask(NULL, flow, "/v1/models/llama/infer", &decision, &error);
    CHECK(status == ZTL_ERR_ARG && decision.permit == 0);
    CHECK(is_error(error, ZTL_ERR_ARG));
    status = ask((const ztl_engine *)(const void *)peer, flow, "/v1/models/llama/infer", &decision, &error);
    CHECK(status == ZTL_ERR_ARG && decision.permit == 0);
    CHECK(is_error(error, ZTL_ERR_ARG));
    status = ask(engine, (const ztl_flow *)(const void *)peer, "/v1/models/llama/infer", &decision, NULL);
    CHECK(status == ZTL_ERR_ARG && decision.permit == 0);

    /* A policy that cannot be read changes nothing. */
    status = ztl_engine_swap(engine, ztl_str_of("schema = 1\nallow = 'all'\n"), ZTL_FORMAT_TOML, &error);
    CHECK(status == ZTL_ERR_POLICY);
    CHECK(is_error(error, ZTL_ERR_POLICY));
    status = ask(engine, flow, "/v1/models/llama/infer", &decision, &error);
    CHECK(status == ZTL_OK && decision.permit == 1);

    /* Another policy is in force at once, on the flow that is there. */
    status = ztl_engine_swap(engine, ztl_str_of(WORKLOADS), ZTL_FORMAT_TOML, &error);
    CHECK(status == ZTL_OK && error == NULL);
    status = ask(engine, flow, "/v1/models/llama/infer", &decision, &error);
    CHECK(status == ZTL_DENIED && decision.permit == 0 && decision.reason == ZTL_REASON_NO_FLOW_PERMITTED);
    CHECK(is_error(error, ZTL_DENIED));

    ztl_flow_free(flow);
    ztl_peer_free(peer);
    ztl_engine_free(engine);
    ztl_engine_free(NULL);
    printf("ok\n");
    return 0;
}
