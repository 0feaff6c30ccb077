/* Threads at one engine: four decide, each record comes to a function of the host, and another thread puts policies in force. Built
 * with -fsanitize=thread, which tells of races in the host's memory; with RACE one is there, so that it is known to be told.
 *
 * Exits with 0 if nobody heard what was not so. */

#include "ztl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW UINT64_C(1790000000)
#define THREADS 4
#if !defined(ROUNDS)
#define ROUNDS 2000
#endif
#define SWAPS 50
#if !defined(RACE)
#define RACE 0
#endif

static const char *const POLICY =
    "schema = 1\n"
    "trust_domain = 'prod.example'\n"
    "[workloads.router]\n"
    "id = 'spiffe://prod.example/router'\n"
    "[workloads.model-server]\n"
    "id = 'spiffe://prod.example/model-server'\n"
    "ports = [8443]\n"
    "asserted_by = ['threads']\n"
    "[[permit]]\n"
    "name = 'router-infers'\n"
    "from = 'router'\n"
    "to = 'model-server'\n"
    "actions = ['POST /v1/models/{model}/infer']\n";

static ztl_engine *engine;
static ztl_peer *peer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long records;

static void check(int so, const char *what)
{
    if (!so) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

/* Several threads call it at once: the lock is the host's. */
static int32_t recorded(void *context, const uint8_t *line, size_t len)
{
    long *count = (long *)context;
    const int locks = !RACE;
    if (locks) {
        pthread_mutex_lock(&lock);
    }
    *count += len > 0 && line[0] == '{';
    if (locks) {
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static ztl_status ask(const ztl_flow *flow, const char *method, uint8_t *permit)
{
    ztl_decision decision = {0};
    ztl_action_request request = {0};
    ztl_error *error = NULL;
    ztl_status status;
    decision.size = sizeof decision;
    decision.permit = 1;
    request.size = sizeof request;
    request.method = ztl_str_of(method);
    request.target = ztl_str_of("/v1/models/llama/infer");
    request.now_unix = NOW;
    request.trust_score = -1;
    status = ztl_action_authorize(engine, flow, &request, &decision, &error);
    ztl_error_free(error);
    *permit = decision.permit;
    return status;
}

static void *decide(void *unused)
{
    ztl_flow *flow = NULL;
    ztl_decision decision = {0};
    ztl_flow_request connection = {0};
    (void)unused;
    decision.size = sizeof decision;
    connection.size = sizeof connection;
    connection.me = ztl_str_of("model-server");
    connection.port = 8443;
    connection.peer = peer;
    connection.now_unix = NOW;
    check(ztl_flow_permit(engine, &connection, &flow, &decision, NULL) == ZTL_OK, "the flow is permitted");
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t permit = 2;
        ztl_status status = ask(flow, "POST", &permit);
        check(status == ZTL_OK && permit == 1, "the rule permits");
        status = ask(flow, "PUT", &permit);
        check(status == ZTL_DENIED && permit == 0, "no rule permits");
    }
    ztl_flow_free(flow);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    check(ztl_engine_new_with_audit(ztl_str_of(POLICY), ZTL_FORMAT_TOML, recorded, &records, &engine, NULL) == ZTL_OK, "the engine");
    check(ztl_peer_assert_dangerous(engine, ztl_str_of("spiffe://prod.example/router"), ztl_str_of("threads"), NOW + 3600, &peer, NULL)
              == ZTL_OK,
          "the peer");
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, decide, NULL) == 0, "a thread");
    }
    for (int i = 0; i < SWAPS; i++) {
        check(ztl_engine_swap(engine, ztl_str_of(POLICY), ZTL_FORMAT_TOML, NULL) == ZTL_OK, "a swap");
    }
    for (int i = 0; i < THREADS; i++) {
        check(pthread_join(threads[i], NULL) == 0, "an end");
    }
    ztl_peer_free(peer);
    ztl_engine_free(engine);
    check(records >= THREADS * (1 + 2 * ROUNDS), "a record a decision");
    printf("ok\n");
    return 0;
}
