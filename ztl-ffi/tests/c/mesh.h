/* What the small programs of this folder have in common: a policy of two workloads, what is asked of it, and how they end where something
 * is not so. */

#ifndef MESH_H
#define MESH_H

#include "ztl.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW UINT64_C(1790000000)
#define ROUTER "spiffe://prod.example/router"

static const char *const POLICY =
    "schema = 1\n"
    "trust_domain = 'prod.example'\n"
    "[workloads.router]\n"
    "id = '" ROUTER "'\n"
    "[workloads.model-server]\n"
    "id = 'spiffe://prod.example/model-server'\n"
    "ports = [8443]\n"
    "asserted_by = ['test']\n"
    "[[permit]]\n"
    "name = 'router-infers'\n"
    "from = 'router'\n"
    "to = 'model-server'\n"
    "actions = ['POST /v1/models/{model}/infer']\n";

/* Ends the program at once: one that was forked says nothing that its parent was about to. */
static inline void check(int so, const char *what)
{
    if (!so) {
        fprintf(stderr, "not so: %s\n", what);
        _Exit(1);
    }
}

/* The router, at our word. */
static inline ztl_peer *router(const ztl_engine *engine)
{
    ztl_peer *peer = NULL;
    ztl_status status = ztl_peer_assert_dangerous(engine, ztl_str_of(ROUTER), ztl_str_of("test"), NOW + 3600, &peer, NULL);
    check(status == ZTL_OK && peer != NULL, "a peer");
    return peer;
}

/* A decision that holds a permit before anything is asked. */
static inline ztl_decision undecided(void)
{
    ztl_decision made = {0};
    made.size = sizeof made;
    made.permit = 1;
    return made;
}

static inline ztl_flow_request connection(const ztl_peer *peer)
{
    ztl_flow_request made = {0};
    made.size = sizeof made;
    made.me = ztl_str_of("model-server");
    made.port = 8443;
    made.peer = peer;
    made.now_unix = NOW;
    return made;
}

/* POST is permitted on the router's connection, and nothing else. */
static inline ztl_action_request request(const char *method)
{
    ztl_action_request made = {0};
    made.size = sizeof made;
    made.method = ztl_str_of(method);
    made.target = ztl_str_of("/v1/models/llama/infer");
    made.now_unix = NOW;
    made.trust_score = -1;
    return made;
}

#endif
