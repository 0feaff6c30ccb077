/* A process that forks while its threads decide. What a child got from its parent is refused, at once and without waiting for whoever held
 * a lock at the fork; what it makes itself decides as any other. Each process has an audit file of its own.
 *
 *     fork DIRECTORY
 *
 * Exits with 0 if all came out as it should; the ids in the files are for the caller to compare. */

#include "mesh.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3
#define CHILDREN 8
#define ROUNDS 500
/* Seconds after which a child counts as hung. */
#define PATIENCE 60

/* An engine, and what was made at it. */
typedef struct {
    ztl_engine *engine;
    ztl_peer *peer;
    ztl_flow *flow;
} world;

static world parent;
static int ended;

static ztl_status permit(const world *of, ztl_flow **flow, uint8_t *permitted, ztl_error **error)
{
    ztl_decision decision = undecided();
    ztl_flow_request made = connection(of->peer);
    ztl_status status = ztl_flow_permit(of->engine, &made, flow, &decision, error);
    *permitted = decision.permit;
    return status;
}

static ztl_status ask(const world *of, uint8_t *permitted, ztl_error **error)
{
    ztl_decision decision = undecided();
    ztl_action_request asked = request("POST");
    ztl_status status = ztl_action_authorize(of->engine, of->flow, &asked, &decision, error);
    *permitted = decision.permit;
    return status;
}

static world make(const char *audit)
{
    world made = {0};
    uint8_t permitted = 0;
    check(ztl_engine_new(ztl_str_of(POLICY), ZTL_FORMAT_TOML, ztl_str_of(audit), &made.engine, NULL) == ZTL_OK, "an engine");
    made.peer = router(made.engine);
    check(permit(&made, &made.flow, &permitted, NULL) == ZTL_OK && permitted == 1, "a flow");
    return made;
}

static void end(world *of)
{
    ztl_flow_free(of->flow);
    ztl_peer_free(of->peer);
    ztl_engine_free(of->engine);
}

static void decides(const world *of, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        uint8_t permitted = 0;
        check(ask(of, &permitted, NULL) == ZTL_OK && permitted == 1, "the rule permits");
    }
}

static void *decide(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&ended, __ATOMIC_RELAXED)) {
        decides(&parent, 20);
    }
    return NULL;
}

static void is_refused(ztl_status status, ztl_error *error)
{
    const uint8_t *text = NULL;
    size_t len = 0;
    char words[256];
    check(status == ZTL_ERR_ARG && ztl_error_code(error) == ZTL_ERR_ARG, "what is the parent's is refused");
    check(ztl_error_message(error, &text, &len) == ZTL_OK && len > 0, "in words");
    check(snprintf(words, sizeof words, "%.*s", (int)len, (const char *)text) > 0 && strstr(words, "forked") != NULL,
          "which say that it was forked");
    ztl_error_free(error);
}

/* Every lock of the parent's engine is behind one of these. */
static void refuses_the_parents(void)
{
    ztl_error *error = NULL;
    ztl_flow *flow = NULL;
    ztl_peer *peer = NULL;
    ztl_claims *claims = NULL;
    ztl_text *text = NULL;
    uint8_t permitted = 2;
    ztl_str domain = ztl_str_of("prod.example"), none = ztl_str_of(NULL);
    ztl_status status = ask(&parent, &permitted, &error);
    is_refused(status, error);
    check(permitted == 0, "it is no permit");
    status = permit(&parent, &flow, &permitted, &error);
    is_refused(status, error);
    check(permitted == 0 && flow == NULL, "it is no flow");
    status = ztl_peer_assert_dangerous(parent.engine, ztl_str_of(ROUTER), ztl_str_of("test"), NOW, &peer, &error);
    is_refused(status, error);
    status = ztl_token_verify(parent.engine, parent.flow, ztl_str_of("a.b.c"), NOW, &claims, &error);
    is_refused(status, error);
    status = ztl_reach(parent.engine, ztl_str_of("router"), &text, &error);
    is_refused(status, error);
    status = ztl_engine_swap(parent.engine, ztl_str_of(POLICY), ZTL_FORMAT_TOML, &error);
    is_refused(status, error);
    status = ztl_engine_trust(parent.engine, domain, none, &error);
    is_refused(status, error);
    check(peer == NULL && claims == NULL && text == NULL, "nothing comes of it");
}

static void child(const char *audit)
{
    world own;
    alarm(PATIENCE);
    refuses_the_parents();
    own = make(audit);
    decides(&own, ROUNDS);
    /* The parent's engine takes nothing of this one. */
    refuses_the_parents();
    end(&parent);
    decides(&own, ROUNDS);
    end(&own);
}

int main(int argc, char **argv)
{
    char audit[4096];
    pthread_t threads[THREADS];
    pid_t children[CHILDREN];
    check(argc == 2 && snprintf(audit, sizeof audit, "%s/parent.jsonl", argv[1]) < (int)sizeof audit, "a directory");
    parent = make(audit);
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, decide, NULL) == 0, "a thread");
    }
    for (int i = 0; i < CHILDREN; i++) {
        decides(&parent, ROUNDS);
        children[i] = fork();
        check(children[i] >= 0, "a fork");
        if (children[i] == 0) {
            check(snprintf(audit, sizeof audit, "%s/child-%d.jsonl", argv[1], i) < (int)sizeof audit, "a name");
            child(audit);
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;
        check(waitpid(children[i], &status, 0) == children[i], "a child");
        check(WIFEXITED(status), "nobody hangs");
        check(WEXITSTATUS(status) == 0, "a child is content");
    }
    __atomic_store_n(&ended, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) {
        check(pthread_join(threads[i], NULL) == 0, "an end");
    }
    /* No child took anything from the parent. */
    decides(&parent, ROUNDS);
    end(&parent);
    printf("ok\n");
    return 0;
}
