/**
 * @file ztl.h
 *
 * ztl, an embeddable zero-trust library: prove each end, permit each flow, authorize each action, deny everything left unnamed.
 *
 * Rules that hold for every function:
 *
 * - `ZTL_OK`, which is 0, is the only yes. Every other status is below 0 and means no: a denial, a mistake in the call, a panic.
 * - Outputs are closed before anything is read: handles become NULL, a decision denies. They are filled last. A handle is not
 *   NULL only with `ZTL_OK`, `permit` is 1 only with `ZTL_OK`. What an output held before is not freed.
 * - `error` may be NULL. If not, it receives an error whenever a status other than `ZTL_OK` is returned, also with
 *   `ZTL_DENIED`. Every other pointer must not be NULL unless its text says so; if it is, that is `ZTL_ERR_ARG`.
 * - Who receives a handle owns it and ends it with the `_free` function of its kind, once. NULL may be freed. Texts and
 *   structures that go in are borrowed until the function returns; nothing is kept of them.
 * - Handles are immutable or lock inside: any number of threads may use one at once, but none while or after it is freed.
 * - Time is an argument. The library starts no threads, keeps no state outside of handles, sets no signal handlers and reads no
 *   environment. A panic inside it is caught; Rust's own message about it goes to stderr.
 * - A C program walks: `ztl_engine_new` and `ztl_engine_trust` once, `ztl_peer_prove` and `ztl_flow_permit` each connection,
 *   `ztl_action_authorize` each request.
 *
 * Made from impl/src by cbindgen; do not edit.
 */

#ifndef ZTL_H
#define ZTL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A status that nobody looks at is a mistake. */
#if defined(__GNUC__) || defined(__clang__)
#define ZTL_MUST_USE __attribute__((warn_unused_result))
#else
#define ZTL_MUST_USE
#endif


/**
 * The version of the ABI that this header describes. Only an incompatible change counts it up, and the name of the shared
 * library with it.
 */
#define ZTL_ABI_VERSION 1

/**
 * No stage was reached: nothing was decided.
 */
#define ZTL_STAGE_NONE 0

/**
 * Proving the peer.
 */
#define ZTL_STAGE_IDENTITY 1

/**
 * Permitting the flow.
 */
#define ZTL_STAGE_FLOW 2

/**
 * Authorizing the action.
 */
#define ZTL_STAGE_ACTION 3

/**
 * Nothing was decided; also what zeroed memory says.
 */
#define ZTL_REASON_NOT_JUDGED 0

/**
 * A rule permits it and none forbids it.
 */
#define ZTL_REASON_PERMITTED 1

/**
 * The peer proved nothing, or what it showed proves nothing.
 */
#define ZTL_REASON_IDENTITY_UNPROVEN 2

/**
 * The peer's proof is no longer valid.
 */
#define ZTL_REASON_IDENTITY_EXPIRED 3

/**
 * The peer's proof was revoked.
 */
#define ZTL_REASON_IDENTITY_REVOKED 4

/**
 * The address it came from is in no zone, and the caller or the target is bound to one.
 */
#define ZTL_REASON_ZONE_UNKNOWN 5

/**
 * The caller belongs to another zone than the one it came from.
 */
#define ZTL_REASON_ZONE_MISMATCH 6

/**
 * No rule permits this flow.
 */
#define ZTL_REASON_NO_FLOW_PERMITTED 7

/**
 * The flow was permitted once; what it rested on has changed since.
 */
#define ZTL_REASON_FLOW_WITHDRAWN 8

/**
 * The request target has more than one reading.
 */
#define ZTL_REASON_PATH_AMBIGUOUS 9

/**
 * The flow is permitted, but no rule on it names this action.
 */
#define ZTL_REASON_NO_ACTION_PERMITTED 10

/**
 * A rule forbids it.
 */
#define ZTL_REASON_FORBIDDEN 11

/**
 * A rule names the action, and one of its requirements does not hold.
 */
#define ZTL_REASON_REQUIREMENT_UNMET 12

/**
 * A rule names the action, and what one of its requirements reads is not there.
 */
#define ZTL_REASON_EVIDENCE_MISSING 13

/**
 * A rule names the action, and what one of its requirements reads is too old.
 */
#define ZTL_REASON_EVIDENCE_STALE 14

/**
 * An authorizer or a condition of the rule said no.
 */
#define ZTL_REASON_OBJECTED 15

/**
 * An authorizer or a condition of the rule failed.
 */
#define ZTL_REASON_AUTHORIZER_FAILED 16

/**
 * The clock went back further than the skew allows.
 */
#define ZTL_REASON_CLOCK_UNTRUSTED 17

/**
 * The decision could not be recorded, so it is not a permit.
 */
#define ZTL_REASON_AUDIT_UNAVAILABLE 18

/**
 * The peer passes an identity on that it is not trusted to pass on.
 */
#define ZTL_REASON_FORWARDED_UNTRUSTED 19

/**
 * A rule permits it, with an obligation that the enforcement point cannot discharge.
 */
#define ZTL_REASON_OBLIGATION_UNKNOWN 20

/**
 * A reason that this version of the ABI has no number for.
 */
#define ZTL_REASON_OTHER 255

/**
 * Room for the name of a rule and the NUL that ends it. A name has at most 64 bytes.
 */
#define ZTL_RULE_SIZE 72

/**
 * A policy document in TOML.
 */
#define ZTL_FORMAT_TOML 1

/**
 * A policy document in JSON.
 */
#define ZTL_FORMAT_JSON 2

/**
 * In `ztl_flow_request.flags`: the caller showed no certificate at all, and comes as the `public` of a public port. Never set
 * it for a caller whose certificate was bad.
 */
#define ZTL_FLOW_ANONYMOUS 1

/**
 * In `ztl_action_request.flags`: raw bytes over the flow, without method and target.
 */
#define ZTL_ACTION_CONNECT 1

/**
 * Judges flows and actions under the policy in force, and records every decision before it is returned.
 *
 * Every function that takes a `const ztl_engine *` may be called from any number of threads at once.
 */
typedef struct ztl_engine ztl_engine;

/**
 * Why a call did not return `ZTL_OK`: a status and a text. Owned by who received it; end it with `ztl_error_free`.
 *
 * For the host's own log. It may speak of the policy, so no word of it may be told to the peer.
 */
typedef struct ztl_error ztl_error;

/**
 * A flow that is permitted: the proof of step two, which step three takes. Good at the engine that permitted it, until what
 * it rests on changes or expires.
 *
 * It is immutable: any number of threads may use it at once.
 */
typedef struct ztl_flow ztl_flow;

/**
 * The other end of a connection: who it is, and by what one knows. Good at the engine that it was made at, and at no other.
 *
 * It is immutable: any number of threads may use it at once.
 */
typedef struct ztl_peer ztl_peer;

/**
 * What a call came to: `ZTL_OK`, `ZTL_DENIED` or one of `ZTL_ERR_*`. Everything but `ZTL_OK` means no.
 */
typedef int32_t ztl_status;

/**
 * Bytes that the caller lends for the time of a call.
 *
 * Not NUL-terminated. `{NULL, 0}` is an absent text, which differs from an empty one; NULL with a length is refused.
 */
typedef struct ztl_str {
    /**
     * The first byte.
     */
    const uint8_t *ptr;
    /**
     * How many bytes.
     */
    size_t len;
} ztl_str;

/**
 * A connection that somebody makes to this workload.
 */
typedef struct ztl_flow_request {
    /**
     * `sizeof(ztl_flow_request)`
     */
    uint32_t size;
    /**
     * The port of this workload that the connection came to.
     */
    uint16_t port;
    /**
     * Zero, or `ZTL_FLOW_ANONYMOUS`.
     */
    uint16_t flags;
    /**
     * Which workload of the policy this is.
     */
    struct ztl_str me;
    /**
     * The other end. NULL is a caller who proved nothing: denied, and recorded as `identity_unproven`, unless `flags` says that
     * it comes as the public.
     */
    const struct ztl_peer *peer;
    /**
     * The address that the connection came from: IPv4 or IPv6 in digits, without brackets, port or zone. Absent: unknown,
     * which is in no zone.
     */
    struct ztl_str from_addr;
    /**
     * The time, in seconds since 1970.
     */
    uint64_t now_unix;
} ztl_flow_request;

/**
 * What was decided, for the host's own log; nothing but `id` may be told to the peer.
 *
 * Set `size` to `sizeof(ztl_decision)` before the call. The call's first act is to fill all other fields with a denial, and
 * it does so whatever `size` says: the memory has to be a whole `ztl_decision`. It owns nothing and needs no freeing.
 */
typedef struct ztl_decision {
    /**
     * `sizeof(ztl_decision)`, set by the caller.
     */
    uint32_t size;
    /**
     * 1 if permitted, which is when the call returns `ZTL_OK` and at no other time; else 0.
     */
    uint8_t permit;
    /**
     * Zero.
     */
    uint8_t reserved[3];
    /**
     * `ZTL_STAGE_*`: the last stage that was reached.
     */
    uint32_t stage;
    /**
     * `ZTL_REASON_*`
     */
    uint32_t reason;
    /**
     * The decision's id in the audit: its 32 hexadecimal digits are these bytes in order. Zero where nothing was decided, and
     * on a permitted flow, whose record is found by time and peer.
     */
    uint8_t id[16];
    /**
     * Seconds since 1970 from when on the permit no longer holds: end the connection, or the stream of this action, then.
     * `UINT64_MAX` if it does not expire, 0 on a denial.
     */
    uint64_t expires_unix;
    /**
     * The name of the rule that decided, ended by NUL; empty where none came near.
     */
    char rule[ZTL_RULE_SIZE];
} ztl_decision;

/**
 * A header field.
 */
typedef struct ztl_header {
    /**
     * Its name, in any case.
     */
    struct ztl_str name;
    /**
     * Its value.
     */
    struct ztl_str value;
} ztl_header;

/**
 * What is asked for.
 *
 * Texts that come from the peer (`method`, `target`, `upgrade`, header fields) may hold any bytes: what cannot be read is a
 * denial and recorded, not an error.
 */
typedef struct ztl_action_request {
    /**
     * `sizeof(ztl_action_request)`
     */
    uint32_t size;
    /**
     * Zero, or `ZTL_ACTION_CONNECT`.
     */
    uint32_t flags;
    /**
     * The method, exactly as it stood on the wire.
     */
    struct ztl_str method;
    /**
     * The raw request target, exactly as it stood on the wire: the path with its escapes, and the query. Never a path that a
     * framework has decoded.
     */
    struct ztl_str target;
    /**
     * The protocol that the connection is to become: `:protocol` of an extended CONNECT (RFC 8441). Absent or empty: what
     * the `Upgrade` fields among `headers` say, else none.
     */
    struct ztl_str upgrade;
    /**
     * All header fields of the request, in order. A field sent twice stands here twice.
     */
    const struct ztl_header *headers;
    /**
     * How many there are.
     */
    size_t headers_len;
    /**
     * The time, in seconds since 1970.
     */
    uint64_t now_unix;
    /**
     * The caller's trust score, 0 to 100, observed now and good for a minute; -1 if there is none.
     */
    int32_t trust_score;
    /**
     * Zero.
     */
    uint32_t reserved;
} ztl_action_request;

/**
 * The call did what it says; of a call that decides: permitted. There is no other success.
 */
#define ZTL_OK 0

/**
 * The engine denied, and recorded why.
 */
#define ZTL_DENIED -1

/**
 * An argument cannot be meant: NULL, a wrong handle, a wrong size, a number out of its range.
 */
#define ZTL_ERR_ARG -2

/**
 * A text is not UTF-8.
 */
#define ZTL_ERR_UTF8 -3

/**
 * The policy was refused; the one in force stays.
 */
#define ZTL_ERR_POLICY -4

/**
 * The audit file cannot be opened. A record that cannot be written later is a denial, `ZTL_REASON_AUDIT_UNAVAILABLE`.
 */
#define ZTL_ERR_AUDIT -5

/**
 * The operating system did not give what was needed.
 */
#define ZTL_ERR_SYSTEM -6

/**
 * The library panicked, which is a bug in it. The call was refused; the engine stays usable.
 */
#define ZTL_ERR_PANIC -7

/**
 * The bundle of a trust domain was refused; the one in force stays.
 */
#define ZTL_ERR_BUNDLE -8

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI that the loaded library has. Refuse to start where it is not `ZTL_ABI_VERSION`.
 */
ZTL_MUST_USE
uint32_t ztl_abi_version(void);

/**
 * The version of the library, such as `0.1.0`: ended by NUL, never freed.
 */
ZTL_MUST_USE const char *ztl_version(void);

/**
 * The status that came with the error. NULL is no error object, and gives `ZTL_ERR_ARG`, so that it is never mistaken for
 * success.
 *
 * # Safety
 * `error` is NULL or live.
 */
ZTL_MUST_USE
ztl_status ztl_error_code(const struct ztl_error *error);

/**
 * The text of an error: UTF-8, not NUL-terminated, borrowed from the error and good until that is freed. On any other
 * outcome `*ptr` is NULL and `*len` is 0.
 *
 * # Safety
 * `error` is NULL or live; `ptr` and `len` are NULL or may be written.
 */
ztl_status ztl_error_message(const struct ztl_error *error,
                             const uint8_t **ptr,
                             size_t *len);

/**
 * Ends an error. NULL is none.
 *
 * # Safety
 * `error` is NULL or live, and is not used after this.
 */
void ztl_error_free(struct ztl_error *error);

/**
 * Makes an engine.
 *
 * @param policy the document; a rule that asks for a condition or an authorizer is refused, as none can be registered here
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param audit_file where records go, one line of JSON each: a path in UTF-8, made with mode 0600 where it does not exist and
 *   appended to where it does. Absent: the last 1024 records are kept in memory, which C cannot read
 * @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * The texts are readable; `engine` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_new(struct ztl_str policy,
                          uint32_t format,
                          struct ztl_str audit_file,
                          struct ztl_engine **engine,
                          struct ztl_error **error);

/**
 * Puts another policy in force, at once and for every decision from now on, on flows that were permitted before as well.
 *
 * Where it fails, the policy in force stays. A policy whose `serial` is lower than that in force, or missing where that has
 * one, is refused. May be called while other threads decide.
 *
 * @param engine the engine
 * @param policy the document
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the text is readable; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_swap(const struct ztl_engine *engine,
                           struct ztl_str policy,
                           uint32_t format,
                           struct ztl_error **error);

/**
 * Trusts the authorities of a trust domain, in place of those it had. An engine trusts none at first.
 *
 * Every peer that was proved before, and every flow that was permitted before, has to be proved and permitted anew: keep the
 * chains of live connections. Call it when a bundle has changed, and only then.
 *
 * @param engine the engine
 * @param trust_domain such as `prod.example`
 * @param bundle its authorities, one or more certificates in PEM. Absent: none any more, so that its SVIDs prove nothing
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_trust(const struct ztl_engine *engine,
                            struct ztl_str trust_domain,
                            struct ztl_str bundle,
                            struct ztl_error **error);

/**
 * Ends an engine. NULL is none. Flows and peers that were made at it are still to be freed, and good for nothing else.
 *
 * # Safety
 * `engine` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_engine_free(struct ztl_engine *engine);

/**
 * Step one: proves who makes a connection, by the certificates that it showed, or denies it. A denial is recorded.
 *
 * The chain leads to an authority of its own trust domain, which the engine trusts (`ztl_engine_trust`), and its leaf is an
 * X.509-SVID of a caller. **The host's TLS has checked that the caller holds the leaf's key**, as every TLS handshake does
 * that asks for a client certificate; the host need not have verified the chain.
 *
 * @param engine the engine
 * @param request the connection, as it goes to `ztl_flow_permit` next; `peer` NULL and `flags` 0 as yet
 * @param chain the certificates in DER, the leaf first, as the caller sent them
 * @param chain_len how many
 * @param peer receives the peer; NULL unless `ZTL_OK` is returned. End it with `ztl_peer_free`
 * @param error receives the reason, of a denial as well; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; `request` is NULL or readable, with readable texts; the chain is readable; `peer` and `error` are
 * NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_peer_prove(const struct ztl_engine *engine,
                          const struct ztl_flow_request *request,
                          const struct ztl_str *chain,
                          size_t chain_len,
                          struct ztl_peer **peer,
                          struct ztl_error **error);

/**
 * Takes somebody's word for who the other end is. **ztl proves nothing here**: whoever calls this vouches for it.
 *
 * Such a peer is denied as `ZTL_REASON_IDENTITY_UNPROVEN` unless the target workload names the asserting party:
 * `asserted_by = ["..."]` in the policy. Every record of it names that party.
 *
 * @param engine the engine at which the peer will be judged
 * @param spiffe_id who the other end is said to be, such as `spiffe://prod.example/router`
 * @param by who says so, as the policy calls that party
 * @param not_after_unix seconds since 1970 from when on the word no longer holds
 * @param peer receives the peer; NULL unless `ZTL_OK` is returned. End it with `ztl_peer_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the texts are readable; `peer` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_peer_assert_dangerous(const struct ztl_engine *engine,
                                     struct ztl_str spiffe_id,
                                     struct ztl_str by,
                                     uint64_t not_after_unix,
                                     struct ztl_peer **peer,
                                     struct ztl_error **error);

/**
 * Ends a peer. NULL is none. Flows that were permitted to it stay.
 *
 * # Safety
 * `peer` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_peer_free(struct ztl_peer *peer);

/**
 * Step two: permits a connection to this workload, or denies it. Recorded either way.
 *
 * @param engine the engine
 * @param request the connection
 * @param flow receives the permitted flow; NULL unless `ZTL_OK` is returned. End it with `ztl_flow_free`
 * @param decision receives the decision; set its `size` first
 * @param error receives the reason, of a denial as well; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; `request` is NULL or readable, with a live peer or none and readable texts; `flow`, `decision` and
 * `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_flow_permit(const struct ztl_engine *engine,
                           const struct ztl_flow_request *request,
                           struct ztl_flow **flow,
                           struct ztl_decision *decision,
                           struct ztl_error **error);

/**
 * Ends a permitted flow. NULL is none.
 *
 * # Safety
 * `flow` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_flow_free(struct ztl_flow *flow);

/**
 * Step three: authorizes an action on a permitted flow, or denies it. Recorded either way.
 *
 * A flow that was permitted under an earlier policy is judged again first.
 *
 * @param engine the engine that permitted the flow
 * @param flow the permitted flow
 * @param request what is asked for
 * @param decision receives the decision; set its `size` first
 * @param error receives the reason, of a denial as well; may be NULL
 *
 * # Safety
 * `engine` and `flow` are NULL or live; `request` is NULL or readable, with readable texts and headers; `decision` and `error`
 * are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_action_authorize(const struct ztl_engine *engine,
                                const struct ztl_flow *flow,
                                const struct ztl_action_request *request,
                                struct ztl_decision *decision,
                                struct ztl_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/**
 * The text of a NUL-terminated string, borrowed from it; NULL gives the absent text.
 */
static inline ztl_str ztl_str_of(const char *text)
{
    ztl_str str;
    str.ptr = (const uint8_t *)text;
    str.len = text ? strlen(text) : 0;
    return str;
}

#endif /* ZTL_H */
