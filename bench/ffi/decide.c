/* The question of src/core.rs, COUNT times: prints what one takes. Runs in the folder with policy and certificates.
 *
 *     decide NOW COUNT */

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
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
    static uint8_t bytes[2][8192];
    static int used;
    ztl_str read;
    FILE *opened = fopen(name, "rb");
    check(opened != NULL && used < 2, name);
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

int main(int argc, char **argv)
{
    const uint64_t now = strtoull(argc > 1 ? argv[1] : "0", NULL, 10);
    const long count = strtol(argc > 2 ? argv[2] : "1", NULL, 10);
    const ztl_str root = file("root.der"), leaf = file("leaf.der");
    const ztl_header headers[] = {
        {ztl_str_of("host"), ztl_str_of("model-server")},
        {ztl_str_of("accept"), ztl_str_of("*/*")},
        {ztl_str_of("x-tenant"), ztl_str_of("blue")},
        {ztl_str_of("x-tenant"), ztl_str_of("")},
    };
    ztl_engine *engine = NULL;
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_decision decision = {0};
    ztl_flow_request connection = {0};
    ztl_action_request request = {0};
    double start;

    check(ztl_engine_new_from_file(ztl_str_of("policy.toml"), ZTL_FORMAT_TOML, ztl_str_of(NULL), &engine, NULL) == ZTL_OK, "engine");
    check(ztl_engine_trust_der(engine, ztl_str_of("prod.example"), &root, 1, NULL) == ZTL_OK, "bundle");
    decision.size = sizeof decision;
    connection.size = sizeof connection;
    connection.me = ztl_str_of("model-server");
    connection.port = 8443;
    connection.from_addr = ztl_str_of("10.0.0.7");
    connection.now_unix = now;
    check(ztl_peer_prove(engine, &connection, &leaf, 1, &peer, NULL) == ZTL_OK, "peer");
    connection.peer = peer;
    check(ztl_flow_permit(engine, &connection, &flow, &decision, NULL) == ZTL_OK, "flow");
    request.size = sizeof request;
    request.method = ztl_str_of("POST");
    request.target = ztl_str_of("/v1/models/llama/infer");
    request.headers = headers;
    request.headers_len = sizeof headers / sizeof *headers;
    request.now_unix = now;
    request.trust_score = -1;
    start = nanos();
    for (long i = 0; i < count; i++) {
        check(ztl_action_authorize(engine, flow, &request, &decision, NULL) == ZTL_OK && decision.permit == 1, "a permit");
    }
    printf("%.2f ns/op\n", (nanos() - start) / (double)count);
    ztl_flow_free(flow);
    ztl_peer_free(peer);
    ztl_engine_free(engine);
    return 0;
}
