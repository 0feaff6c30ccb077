/* Threads at one engine: four decide, each record comes to a function of the host, and another thread puts policies in force. Built
 * with -fsanitize=thread, which tells of races in the host's memory; with RACE one is there, so that it is known to be told.
 *
 * Exits with 0 if nobody heard what was not so. */

#include "mesh.h"

#include <pthread.h>

#define THREADS 4
#if !defined(ROUNDS)
#define ROUNDS 2000
#endif
#define SWAPS 50
#if !defined(RACE)
#define RACE 0
#endif

static ztl_engine *engine;
static ztl_peer *peer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long records;

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
    ztl_decision decision = undecided();
    ztl_action_request asked = request(method);
    ztl_error *error = NULL;
    ztl_status status = ztl_action_authorize(engine, flow, &asked, &decision, &error);
    ztl_error_free(error);
    *permit = decision.permit;
    return status;
}

static void *decide(void *unused)
{
    ztl_flow *flow = NULL;
    ztl_decision decision = undecided();
    ztl_flow_request made = connection(peer);
    (void)unused;
    check(ztl_flow_permit(engine, &made, &flow, &decision, NULL) == ZTL_OK, "the flow is permitted");
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
    peer = router(engine);
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
