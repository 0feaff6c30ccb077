/* The question of src/core.rs, COUNT times, or another call: prints what one takes. Runs in the folder with policy and certificates.
 *
 *     decide NOW COUNT [nothing|decision|wide|explanation|proof|first-proof]
 *
 * `nothing` is the shortest way there and back, `wide` the question with a field that is not ASCII, `proof` that of a chain that was proved
 * before, `first-proof` that of one that was not: the authorities are told anew before it. */

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ztl.h>

static void check(int so, const char *what)
{
    if (!so) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

static ztl_str file(const char *name)
{
    static uint8_t bytes[3][8192];
    static int used;
    ztl_str read;
    FILE *opened = fopen(name, "rb");
    check(opened != NULL && used < 3, name);
    read.ptr = bytes[used];
    read.len = fread(bytes[used++], 1, sizeof bytes[0], opened);
    fclose(opened);
    return read;
}

static double nanos(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* All that a call needs. */
typedef struct {
    ztl_engine *engine;
    ztl_flow *flow;
    ztl_flow_request connection;
    ztl_action_request request;
    ztl_str root, leaf, policy;
    uint32_t sum;
} world;

static void nothing(world *of)
{
    of->sum += ztl_abi_version();
}

static void decision(world *of)
{
    ztl_decision said = {0};
    said.size = sizeof said;
    check(ztl_action_authorize(of->engine, of->flow, &of->request, &said, NULL) == ZTL_OK && said.permit == 1, "a permit");
}

static void explanation(world *of)
{
    ztl_text *text = NULL;
    check(ztl_explain(of->engine, &of->connection, &of->request, of->policy, &text, NULL) == ZTL_OK, "an explanation");
    ztl_text_free(text);
}

static void proof(world *of)
{
    ztl_peer *peer = NULL;
    ztl_flow_request connection = of->connection;
    connection.peer = NULL;
    check(ztl_peer_prove(of->engine, &connection, &of->leaf, 1, &peer, NULL) == ZTL_OK, "a proof");
    ztl_peer_free(peer);
}

static void first_proof(world *of)
{
    check(ztl_engine_trust_der(of->engine, ztl_str_of("prod.example"), &of->root, 1, NULL) == ZTL_OK, "bundle");
    proof(of);
}

static const struct {
    const char *name;
    void (*call)(world *);
} CALLS[] = {{"decision", decision}, {"wide", decision},           {"nothing", nothing},
             {"explanation", explanation}, {"proof", proof}, {"first-proof", first_proof}};

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[3] : "decision";
    void (*call)(world *) = NULL;
    const uint64_t now = strtoull(argc > 1 ? argv[1] : "0", NULL, 10);
    const long count = strtol(argc > 2 ? argv[2] : "1", NULL, 10);
    const ztl_str root = file("root.der"), leaf = file("leaf.der");
    const ztl_header headers[] = {
        {ztl_str_of("host"), ztl_str_of("model-server")},
        {ztl_str_of("accept"), ztl_str_of(strcmp(what, "wide") == 0 ? "*/*; q=\xc3\xa9" : "*/*")},
        {ztl_str_of("x-tenant"), ztl_str_of("blue")},
        {ztl_str_of("x-tenant"), ztl_str_of("")},
    };
    world of;
    ztl_engine *engine = NULL;
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_decision said = {0};
    ztl_flow_request connection = {0};
    ztl_action_request request = {0};
    double start;

    check(ztl_engine_new_from_file(ztl_str_of("policy.toml"), ZTL_FORMAT_TOML, ztl_str_of(NULL), &engine, NULL) == ZTL_OK, "engine");
    check(ztl_engine_trust_der(engine, ztl_str_of("prod.example"), &root, 1, NULL) == ZTL_OK, "bundle");
    said.size = sizeof said;
    connection.size = sizeof connection;
    connection.me = ztl_str_of("model-server");
    connection.port = 8443;
    connection.from_addr = ztl_str_of("10.0.0.7");
    connection.now_unix = now;
    check(ztl_peer_prove(engine, &connection, &leaf, 1, &peer, NULL) == ZTL_OK, "peer");
    connection.peer = peer;
    check(ztl_flow_permit(engine, &connection, &flow, &said, NULL) == ZTL_OK, "flow");
    request.size = sizeof request;
    request.method = ztl_str_of("POST");
    request.target = ztl_str_of("/v1/models/llama/infer");
    request.headers = headers;
    request.headers_len = sizeof headers / sizeof *headers;
    request.now_unix = now;
    request.trust_score = -1;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        call = strcmp(CALLS[i].name, what) == 0 ? CALLS[i].call : call;
    }
    check(call != NULL, "a call that is known");
    of.engine = engine;
    of.flow = flow;
    of.connection = connection;
    of.request = request;
    of.root = root;
    of.leaf = leaf;
    of.policy = file("policy.toml");
    of.sum = 0;
    start = nanos();
    for (long i = 0; i < count; i++) {
        call(&of);
    }
    printf("%.2f ns/op\n", (nanos() - start) / (double)count);
    check(of.sum == 0 || of.sum == (uint32_t)count * ZTL_ABI_VERSION, "the version");
    ztl_flow_free(flow);
    ztl_peer_free(peer);
    ztl_engine_free(engine);
    return 0;
}
