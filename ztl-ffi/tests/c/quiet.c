/* What a library does to a process that asked for nothing of it: no thread is left or begun, no signal is handled otherwise, nothing
 * stands in the environment that was not there, no file stays open. And no thread has anything of its own: what one made, another uses and
 * a third one frees, when the first is gone.
 *
 *     quiet DIRECTORY
 *
 * Exits with 0 if all came out as it should. */

#include "mesh.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define SIGNALS 65

extern char **environ;

/* A process, as far as a library could change it without being asked. */
typedef struct {
    int threads, files, variables;
    struct sigaction handlers[SIGNALS];
    int handled[SIGNALS];
    sigset_t mask;
    stack_t stack;
} process;

/* What is made in one thread, and used in others. */
typedef struct {
    char audit[4096];
    ztl_engine *engine;
    ztl_peer *peer;
    ztl_flow *flow;
    ztl_error *error;
    ztl_text *text;
    ztl_claims *claims;
} things;

static int entries(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    check(folder != NULL, path);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static process look(void)
{
    process seen;
    memset(&seen, 0, sizeof seen);
    seen.threads = entries("/proc/self/task");
    seen.files = entries("/proc/self/fd");
    while (environ != NULL && environ[seen.variables] != NULL) {
        seen.variables++;
    }
    for (int i = 1; i < SIGNALS; i++) {
        seen.handled[i] = sigaction(i, NULL, &seen.handlers[i]) == 0;
    }
    check(pthread_sigmask(SIG_BLOCK, NULL, &seen.mask) == 0, "the mask");
    check(sigaltstack(NULL, &seen.stack) == 0, "the stack of signals");
    return seen;
}

static void is_as(const process *before, const char *when)
{
    process after = look();
    fprintf(stderr, "%s: %d threads, %d files\n", when, after.threads - 2, after.files - 2);
    check(before->threads == after.threads, "no thread is left or begun");
    check(before->variables == after.variables, "the environment is as it was");
    for (int i = 1; i < SIGNALS; i++) {
        check(before->handled[i] == after.handled[i], "a signal can be handled or not as before");
        check(before->handlers[i].sa_handler == after.handlers[i].sa_handler, "a signal is handled as before");
        check(before->handlers[i].sa_flags == after.handlers[i].sa_flags, "with the same flags");
        check(sigismember(&before->mask, i) == sigismember(&after.mask, i), "a signal is blocked or not as before");
    }
    check(before->stack.ss_sp == after.stack.ss_sp && before->stack.ss_flags == after.stack.ss_flags, "signals have the stack that they had");
}

static void *make(void *given)
{
    things *of = (things *)given;
    ztl_decision decision = undecided();
    ztl_flow_request flow;
    ztl_action_request denied = request("PUT");
    ztl_status status;
    check(ztl_engine_new(ztl_str_of(POLICY), ZTL_FORMAT_TOML, ztl_str_of(of->audit), &of->engine, NULL) == ZTL_OK, "an engine");
    of->peer = router(of->engine);
    flow = connection(of->peer);
    check(ztl_flow_permit(of->engine, &flow, &of->flow, &decision, NULL) == ZTL_OK, "a flow");
    check(ztl_claims_assert_dangerous(of->engine, ztl_str_of("{\"sub\": \"alice\"}"), NOW + 60, &of->claims, NULL) == ZTL_OK, "claims");
    check(ztl_explain(of->engine, &flow, &denied, ztl_str_of(POLICY), &of->text, NULL) == ZTL_OK, "a text");
    status = ztl_action_authorize(of->engine, of->flow, &denied, &decision, &of->error);
    check(status == ZTL_DENIED && of->error != NULL, "a denial");
    return NULL;
}

static void *use(void *given)
{
    const things *of = (const things *)given;
    ztl_action_request permitted = request("POST");
    ztl_decision decision = undecided();
    ztl_error *other = NULL;
    const uint8_t *text = NULL;
    size_t len = 0;
    uint32_t reads = 0;
    ztl_claims *claims = NULL;
    ztl_status status;
    permitted.claims = of->claims;
    check(ztl_action_authorize(of->engine, of->flow, &permitted, &decision, NULL) == ZTL_OK, "a permit");
    /* An error of this thread does not take the place of the other's. */
    status = ztl_engine_swap(of->engine, ztl_str_of("nonsense"), ZTL_FORMAT_TOML, &other);
    check(status == ZTL_ERR_POLICY && ztl_error_code(other) == ZTL_ERR_POLICY, "a policy is refused");
    ztl_error_free(other);
    check(ztl_error_code(of->error) == ZTL_DENIED && ztl_error_reason(of->error) == ZTL_REASON_NO_ACTION_PERMITTED, "the error is there");
    check(ztl_error_message(of->error, &text, &len) == ZTL_OK && len > 0, "in words");
    check(ztl_text_bytes(of->text, &text, &len) == ZTL_OK && len > 0, "the text is there");
    check(ztl_flow_reads(of->engine, of->flow, NOW, &reads, NULL) == ZTL_OK, "the flow is there");
    status = ztl_token_verify(of->engine, of->flow, ztl_str_of("a.b.c"), NOW, &claims, NULL);
    check(status != ZTL_OK && claims == NULL, "a token is none");
    check(ztl_engine_swap(of->engine, ztl_str_of(POLICY), ZTL_FORMAT_TOML, NULL) == ZTL_OK, "another policy");
    check(ztl_action_authorize(of->engine, of->flow, &permitted, &decision, NULL) == ZTL_OK, "a permit under it");
    check(ztl_action_refuse(of->engine, of->flow, &permitted, ZTL_REASON_OBJECTED, &decision, NULL) == ZTL_DENIED, "a refusal");
    return NULL;
}

static void *end(void *given)
{
    things *of = (things *)given;
    ztl_error_free(of->error);
    ztl_text_free(of->text);
    ztl_claims_free(of->claims);
    ztl_flow_free(of->flow);
    ztl_peer_free(of->peer);
    ztl_engine_free(of->engine);
    return NULL;
}

static void in_a_thread(void *(*body)(void *), things *of)
{
    pthread_t thread;
    check(pthread_create(&thread, NULL, body, of) == 0, "a thread");
    check(pthread_join(thread, NULL) == 0, "its end");
}

int main(int argc, char **argv)
{
    things made;
    process before;
    memset(&made, 0, sizeof made);
    check(argc == 2 && snprintf(made.audit, sizeof made.audit, "%s/audit.jsonl", argv[1]) < (int)sizeof made.audit, "a directory");
    before = look();
    make(&made);
    is_as(&before, "made");
    use(&made);
    is_as(&before, "used");
    end(&made);
    is_as(&before, "freed");
    check(entries("/proc/self/fd") == before.files, "no file stays open");
    for (int round = 0; round < 3; round++) {
        char audit[sizeof made.audit];
        memcpy(audit, made.audit, sizeof audit);
        memset(&made, 0, sizeof made);
        memcpy(made.audit, audit, sizeof audit);
        in_a_thread(make, &made);
        in_a_thread(use, &made);
        is_as(&before, "in threads");
        in_a_thread(end, &made);
    }
    is_as(&before, "ended");
    check(entries("/proc/self/fd") == before.files, "no file stays open");
    printf("ok\n");
    return 0;
}
