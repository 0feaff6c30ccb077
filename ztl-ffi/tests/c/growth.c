/* Fifty thousand times: an engine is made, asked for everything that it gives, and freed with all of it. What is resident does not grow.
 *
 *     growth [CYCLES]
 *
 * Exits with 0 if it grew by less than 4 MiB after the first tenth, in which allocators take what they keep. With -DLEAK=1 a
 * flow is not freed each time, so that it is known to be told. */

#include "mesh.h"

#define MOST_KIB 4096
#if !defined(LEAK)
#define LEAK 0
#endif

/* What is resident, in KiB (proc(5)). */
static long resident(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    check(status != NULL, "the system tells what is resident");
    while (fgets(line, sizeof line, status) != NULL && sscanf(line, "VmRSS: %ld kB", &kib) != 1) {
    }
    fclose(status);
    check(kib > 0, "something is resident");
    return kib;
}

static ztl_status ask(const ztl_engine *engine, const ztl_flow *flow, const char *method, const ztl_claims *claims, ztl_error **error)
{
    ztl_decision decision = undecided();
    ztl_action_request asked = request(method);
    asked.claims = claims;
    return ztl_action_authorize(engine, flow, &asked, &decision, error);
}

static void cycle(void)
{
    ztl_engine *engine = NULL;
    ztl_peer *peer = NULL;
    ztl_flow *flow = NULL;
    ztl_claims *claims = NULL;
    ztl_text *text = NULL;
    ztl_error *error = NULL;
    ztl_decision decision = undecided();
    ztl_flow_request made;

    check(ztl_engine_new(ztl_str_of(POLICY), ZTL_FORMAT_TOML, ztl_str_of(NULL), &engine, NULL) == ZTL_OK, "an engine");
    peer = router(engine);
    made = connection(peer);
    check(ztl_flow_permit(engine, &made, &flow, &decision, NULL) == ZTL_OK, "a flow");
    check(ztl_claims_assert_dangerous(engine, ztl_str_of("{\"sub\": \"alice\"}"), NOW + 60, &claims, NULL) == ZTL_OK, "claims");
    check(ask(engine, flow, "POST", claims, NULL) == ZTL_OK, "the rule permits");
    check(ask(engine, flow, "PUT", NULL, &error) == ZTL_DENIED, "no rule permits");
    ztl_error_free(error);
    check(ztl_engine_swap(engine, ztl_str_of("nonsense"), ZTL_FORMAT_TOML, &error) == ZTL_ERR_POLICY, "a policy is refused");
    ztl_error_free(error);
    check(ztl_reach(engine, ztl_str_of("router"), &text, NULL) == ZTL_OK, "a text");
    ztl_text_free(text);
    ztl_claims_free(claims);
    if (!LEAK) {
        ztl_flow_free(flow);
    }
    ztl_peer_free(peer);
    ztl_engine_free(engine);
}

int main(int argc, char **argv)
{
    long cycles = argc > 1 ? strtol(argv[1], NULL, 10) : 50000, before, grown;
    for (long i = 0; i < cycles / 10; i++) {
        cycle();
    }
    before = resident();
    for (long i = 0; i < cycles; i++) {
        cycle();
    }
    grown = resident() - before;
    fprintf(stderr, "%ld cycles: %ld KiB more than the %ld KiB before\n", cycles, grown, before);
    check(grown < MOST_KIB, "it does not grow");
    printf("ok\n");
    return 0;
}
