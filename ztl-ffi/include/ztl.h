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
 * - Time is an argument. The library leaves no thread running and sets no signal handlers. Each condition of a policy is read by a
 *   thread that ends before the call that loads the policy does; where no thread can be made, that call fails. Outside of handles
 *   it keeps the key and the count of the process's decision ids, and reads no environment but, where it was built with `jwt`,
 *   `OPENSSL_ia32cap`, by its cryptography. A panic inside it is caught; Rust's own message about it goes to stderr.
 * - A C program walks: `ztl_engine_new` and `ztl_engine_trust` once, `ztl_peer_prove` and `ztl_flow_permit` each connection,
 *   `ztl_action_authorize` each request. `ZTL_OK` of any other call says that something was made or told, and
 *   permits nothing.
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
 * library with it. A field more in a structure is such a change: each structure is taken in the one size that this version has.
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
 * A rule permits it, and whoever asks has asked too often.
 */
#define ZTL_REASON_LIMIT_EXCEEDED 21

/**
 * A rule permits it, and its body is larger than the rule lets through.
 */
#define ZTL_REASON_BODY_TOO_LARGE 22

/**
 * A rule permits it, and its body does not fit the schema.
 */
#define ZTL_REASON_BODY_UNFIT 23

/**
 * The request asks for another host than the connection was made for, or than the workload answers to.
 */
#define ZTL_REASON_MISDIRECTED 24

/**
 * A reason that this version of the ABI has no number for.
 */
#define ZTL_REASON_OTHER 255

/**
 * Nothing was lacking, or another thing than what a rule requires was why.
 */
#define ZTL_LACK_NONE 0

/**
 * No token, or one that is expired, or from another issuer or for another audience: ask for one (RFC 6750 §3).
 */
#define ZTL_LACK_TOKEN 1

/**
 * The token names no subject, or one that the rule does not speak of; or such an id was passed on.
 */
#define ZTL_LACK_SUBJECT 2

/**
 * The token names no actors, or one that the rule does not speak of.
 */
#define ZTL_LACK_ACTORS 3

/**
 * The token lacks a scope.
 */
#define ZTL_LACK_SCOPE 4

/**
 * The token lacks a claim.
 */
#define ZTL_LACK_CLAIM 5

/**
 * The user proved themselves with too little (RFC 9470 §3).
 */
#define ZTL_LACK_MFA 6

/**
 * The trust score is missing, stale or too low.
 */
#define ZTL_LACK_TRUST_SCORE 7

/**
 * The zone the caller came from is unknown or trusted too little.
 */
#define ZTL_LACK_ZONE_TRUST 8

/**
 * A header field is missing or has another value.
 */
#define ZTL_LACK_HEADER 9

/**
 * The condition of the rule did not hold.
 */
#define ZTL_LACK_CONDITION 10

/**
 * An authorizer of the rule objected.
 */
#define ZTL_LACK_AUTHORIZER 11

/**
 * Something that this version of the ABI has no number for.
 */
#define ZTL_LACK_OTHER 255

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
 * In `ztl_flow_request.flags`: this host, which is `me`, called the workload `to`, and the peer is the server that answered.
 */
#define ZTL_FLOW_EGRESS 2

/**
 * A bit of `ztl_flow_reads`: a rule could ask for a token. Where it is not set, verify none (T34).
 */
#define ZTL_READS_TOKEN 1

/**
 * A bit of `ztl_flow_reads`: a rule could ask for a trust score.
 */
#define ZTL_READS_TRUST_SCORE 2

/**
 * A bit of `ztl_flow_reads`: the peer passes ids on in `X-Forwarded-Client-Cert`. Where it is not set, take that field away (T12).
 */
#define ZTL_READS_XFCC 4

/**
 * A bit of `ztl_flow_reads`: the peer passes ids on in `Forwarded` (RFC 7239). Where it is not set, take that field away (T12).
 */
#define ZTL_READS_FORWARDED 8

/**
 * Access tokens (RFC 9068, or a plain JWT).
 */
#define ZTL_TOKEN_ACCESS 1

/**
 * ID tokens of OpenID Connect.
 */
#define ZTL_TOKEN_ID 2

/**
 * JWT-SVIDs of a trust domain (SPIFFE).
 */
#define ZTL_TOKEN_SVID 3

/**
 * In `ztl_action_request.flags`: raw bytes over the flow, without method and target.
 */
#define ZTL_ACTION_CONNECT 1

/**
 * The claims of a token that was verified. Good at the engine that it was made at, and for the caller whose flow it was verified
 * for, until the token expires, its key is taken away, or something else is said of its issuer.
 *
 * It is immutable: any number of threads may use it at once.
 */
typedef struct ztl_claims ztl_claims;

/**
 * Judges flows and actions under the policy in force, and records every decision before it is returned.
 *
 * Every function that takes a `const ztl_engine *` may be called from any number of threads at once. It is good in the process that made
 * it: a forked one makes its own, and gets `ZTL_ERR_ARG` of every call with its parent's, which it may free.
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
 * Any number of threads may use it at once.
 */
typedef struct ztl_flow ztl_flow;

/**
 * The other end of a connection: who it is, and by what one knows. Good at the engine that it was made at, and at no other.
 *
 * It is immutable: any number of threads may use it at once.
 */
typedef struct ztl_peer ztl_peer;

/**
 * A text that the library made, such as an explanation in JSON. Owned by who received it; end it with `ztl_text_free`.
 *
 * For the host's own eyes. It speaks of the policy, so no word of it may be told to the peer.
 */
typedef struct ztl_text ztl_text;

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
 * Takes a record of the audit: one line of JSON in UTF-8, without its newline, borrowed until this returns.
 *
 * It is called before the decision is returned, by whichever thread decides, so by several at once. It returns 0 once the record
 * is kept; anything else says that it is not, and a permit becomes a denial, `ZTL_REASON_AUDIT_UNAVAILABLE`. It must return, be
 * quick, throw nothing, and not free this engine. A call with this engine that it makes itself is `ZTL_ERR_ARG`.
 *
 * @param context what the engine was made with
 * @param line the first byte of the record
 * @param len how many
 */
typedef int32_t (*ztl_audit_fn)(void *context, const uint8_t *line, size_t len);

/**
 * A connection that somebody makes to this workload; with `ZTL_FLOW_EGRESS`, one that this workload makes.
 */
typedef struct ztl_flow_request {
    /**
     * `sizeof(ztl_flow_request)`
     */
    uint32_t size;
    /**
     * The port of the workload that the connection is to.
     */
    uint16_t port;
    /**
     * Zero, `ZTL_FLOW_ANONYMOUS` or `ZTL_FLOW_EGRESS`.
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
    /**
     * With `ZTL_FLOW_EGRESS`, the name of the workload that was called: whoever answers must be that one. Otherwise absent.
     */
    struct ztl_str to;
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
     * The decision's id in the audit: its 32 hexadecimal digits are these bytes in order. Zero where nothing was decided.
     */
    uint8_t id[16];
    /**
     * Seconds since 1970 from when on the permit no longer holds: end the connection, or the stream of this action, then.
     * `UINT64_MAX` if it does not expire, 0 on a denial.
     */
    uint64_t expires_unix;
    /**
     * The name of the rule that decided, ended by NUL; empty where none came near. Of a permitted flow the first in the document that
     * permits it.
     */
    char rule[ZTL_RULE_SIZE];
} ztl_decision;

/**
 * An issuer of tokens: whose tokens are taken, of which kind, for whom, and by which keys.
 */
typedef struct ztl_issuer {
    /**
     * `sizeof(ztl_issuer)`
     */
    uint32_t size;
    /**
     * `ZTL_TOKEN_ACCESS`, `ZTL_TOKEN_ID` or `ZTL_TOKEN_SVID`: one issuer has one kind.
     */
    uint32_t kind;
    /**
     * Its name in the policy.
     */
    struct ztl_str name;
    /**
     * The exact value of `iss`. Of JWT-SVIDs the trust domain, as `spiffe://prod.example`, whatever `iss` they bear.
     */
    struct ztl_str iss;
    /**
     * What `aud` has to name.
     */
    struct ztl_str audience;
    /**
     * Its keys: a JSON Web Key Set. Of JWT-SVIDs the SPIFFE bundle document of the trust domain. Absent: none, so that every token of
     * it is refused.
     */
    struct ztl_str jwks;
} ztl_issuer;

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
 * denial and recorded, not an error, and so are more than 65,536 header fields, none of which is looked at then.
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
     * the `Upgrade` fields among `headers` say, else none. An `Upgrade` that differs from what stands here, that comes twice, or that
     * no single `Connection` names beside it (RFC 9110 section 7.8), is one that no rule names: servers serve such a request as they like.
     */
    struct ztl_str upgrade;
    /**
     * All header fields of the request, in order. A field sent twice stands here twice. `host`, and `:authority` of HTTP/2 and
     * HTTP/3, are among them: what is no host with an optional port is denied (rule 42), and where the workload lists `hosts`, a
     * request for another as well (T21). `x-forwarded-client-cert` and
     * `forwarded` are looked at only where the peer's workload says `forwards_in`, and hidden from rules otherwise (T12); take those
     * away that `ztl_flow_reads` does not name before anything else sees the request.
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
    /**
     * The claims of the caller's token, from `ztl_token_verify`; NULL if there are none. They are not looked at where the query of
     * `target` has a token too, `access_token`: such a request bears two (T16).
     */
    const struct ztl_claims *claims;
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

/**
 * The host's own SVID was refused: do not show it.
 */
#define ZTL_ERR_SVID -9

/**
 * An issuer of tokens, or its keys, were refused; what was in force stays.
 */
#define ZTL_ERR_KEYS -10

/**
 * A token was refused. Nothing is decided by that, and nothing recorded.
 */
#define ZTL_ERR_TOKEN -11

/**
 * This library was built without it.
 */
#define ZTL_ERR_UNSUPPORTED -12

/**
 * Revocation lists were refused; those in force stay.
 */
#define ZTL_ERR_CRL -13

/**
 * Too many bad tokens came from this caller: this one was not looked at. Nothing is decided by that, and nothing recorded.
 */
#define ZTL_ERR_BUDGET -14

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
 * Why the engine denied: `ZTL_REASON_*`. `ZTL_REASON_NOT_JUDGED` where it did not, and of NULL.
 *
 * # Safety
 * `error` is NULL or live.
 */
ZTL_MUST_USE uint32_t ztl_error_reason(const struct ztl_error *error);

/**
 * Which requirement of the rule that came nearest did not hold: `ZTL_LACK_*`, so that the host can ask for what is missing, as
 * with 401 for a token (RFC 9110 §15.5.2). `ZTL_LACK_NONE` where that was not why, and of NULL.
 *
 * # Safety
 * `error` is NULL or live.
 */
ZTL_MUST_USE
uint32_t ztl_error_lack(const struct ztl_error *error);

/**
 * The denial's id in the audit, as `ztl_decision.id` has it, also of a call that takes no `ztl_decision`, such as `ztl_peer_prove`. On any
 * other outcome, and where nothing was decided, it is zero.
 *
 * @param error the error
 * @param id receives the id
 *
 * # Safety
 * `error` is NULL or live; `id` is NULL or may be written.
 */
ztl_status ztl_error_decision(const struct ztl_error *error,
                              uint8_t (*id)[16]);

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
 * The bytes of a text: UTF-8, not NUL-terminated, borrowed from the text and good until that is freed. On any other outcome
 * `*ptr` is NULL and `*len` is 0.
 *
 * # Safety
 * `text` is NULL or live; `ptr` and `len` are NULL or may be written.
 */
ztl_status ztl_text_bytes(const struct ztl_text *text,
                          const uint8_t **ptr,
                          size_t *len);

/**
 * Ends a text. NULL is none.
 *
 * # Safety
 * `text` is NULL or live, and is not used after this.
 */
void ztl_text_free(struct ztl_text *text);

/**
 * Makes an engine.
 *
 * @param policy the document; a rule that asks for an authorizer is refused, as none can be registered here, and in a library that
 *   was built without the feature `cel` one that asks for a condition too
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
 * @param bundle its authorities: one or more certificates in PEM, or a SPIFFE bundle document, which begins with `{`. Absent: none
 *   any more, so that its SVIDs prove nothing
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
 * The same as `ztl_engine_trust`, with the authorities in DER.
 *
 * @param engine the engine
 * @param trust_domain such as `prod.example`
 * @param authorities its authorities, a certificate each
 * @param authorities_len how many; 0: none any more, so that its SVIDs prove nothing
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_trust_der(const struct ztl_engine *engine,
                                struct ztl_str trust_domain,
                                const struct ztl_str *authorities,
                                size_t authorities_len,
                                struct ztl_error **error);

/**
 * Ends an engine. NULL is none. Flows and peers that were made at it are still to be freed, and good for nothing else.
 *
 * # Safety
 * `engine` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_engine_free(struct ztl_engine *engine);

/**
 * Makes an engine from a file: `ztl_engine_new` of what stands in it. A file that its group or others may write is refused with
 * `ZTL_ERR_POLICY`: whoever writes the policy is the policy.
 *
 * The file is read twice, half a second apart, for which this call waits. Where the two differ, or the file was touched in between, that is
 * `ZTL_ERR_POLICY` as well: half of a document may be a wider policy than the whole. Somebody who writes more slowly than that is not
 * noticed, so write another file beside it, and rename that into its place.
 *
 * @param path the policy document: a path in UTF-8
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param audit_file as for `ztl_engine_new`
 * @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * The texts are readable; `engine` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_new_from_file(struct ztl_str path,
                                    uint32_t format,
                                    struct ztl_str audit_file,
                                    struct ztl_engine **engine,
                                    struct ztl_error **error);

/**
 * Puts the policy of a file in force: `ztl_engine_swap` to what stands in it now. It is read as by `ztl_engine_new_from_file`, in half a
 * second: one that its group or others may write is refused, and one that changes meanwhile; then the policy in force stays.
 *
 * @param engine the engine
 * @param path the policy document: a path in UTF-8
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the text is readable; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_swap_from_file(const struct ztl_engine *engine,
                                     struct ztl_str path,
                                     uint32_t format,
                                     struct ztl_error **error);

/**
 * Makes an engine whose records go to a function of the host, as `ztl_engine_new` does otherwise.
 *
 * @param policy the document
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param audit takes each record; must not be NULL
 * @param context is handed to it; may be NULL. The library reads nothing of it and does not free it: keep it until the engine is
 *   freed
 * @param engine receives the engine; NULL unless `ZTL_OK` is returned. End it with `ztl_engine_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * The text is readable; `audit` may be called with `context` by any thread until the engine is freed; `engine` and `error` are
 * NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_new_with_audit(struct ztl_str policy,
                                     uint32_t format,
                                     ztl_audit_fn audit,
                                     void *context,
                                     struct ztl_engine **engine,
                                     struct ztl_error **error);

/**
 * Puts the revocation lists of a trust domain in force, in place of those it had. From then on the status of every certificate of
 * its SVIDs' chains is asked for (RFC 5280 §6.3): revoked is `ZTL_REASON_IDENTITY_REVOKED`, and one of which no list in time
 * says anything proves nothing. An engine has none at first, and asks for no status.
 *
 * Every peer that was proved before, and every flow that was permitted before, has to be proved and permitted anew, as after
 * `ztl_engine_trust`. Push new lists well before `nextUpdate` of the old: from then on what was proved by them is proved no more, and
 * `expires_unix` of its decisions names that time (T25).
 *
 * @param engine the engine
 * @param trust_domain such as `prod.example`
 * @param lists one or more lists in PEM, or one in DER. Absent: none any more, **so that no status is asked for**
 * @param error receives the reason; may be NULL. `ZTL_ERR_CRL` where one of the lists is refused, and with it all; those in
 *   force stay
 *
 * # Safety
 * `engine` is NULL or live; the texts are readable; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_crls(const struct ztl_engine *engine,
                           struct ztl_str trust_domain,
                           struct ztl_str lists,
                           struct ztl_error **error);

/**
 * Step one: proves who makes a connection, or who was called, by the certificates that it showed, or denies it. A denial is
 * recorded.
 *
 * The chain leads to an authority of its own trust domain, which the engine trusts (`ztl_engine_trust`), and its leaf is an
 * X.509-SVID of a caller. **The host's TLS has checked that the caller holds the leaf's key**, as every TLS handshake does
 * that asks for a client certificate; the host need not have verified the chain.
 *
 * The peer, and every flow that is permitted to it, is good until a certificate of the path ends, or the last revocation list that
 * covers one of them is overdue: `expires_unix` of a decision says when.
 *
 * @param engine the engine
 * @param request the connection, as it goes to `ztl_flow_permit` next; `peer` NULL, and `flags` 0, or
 *   `ZTL_FLOW_EGRESS` where this host called
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
 * The SPIFFE ID of a peer: ASCII, not NUL-terminated, borrowed from the peer and good until that is freed. On any other outcome
 * `*ptr` is NULL and `*len` is 0.
 *
 * # Safety
 * `peer` is NULL or live; `ptr` and `len` are NULL or may be written.
 */
ztl_status ztl_peer_id(const struct ztl_peer *peer,
                       const uint8_t **ptr,
                       size_t *len);

/**
 * Ends a peer. NULL is none. Flows that were permitted to it stay.
 *
 * # Safety
 * `peer` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_peer_free(struct ztl_peer *peer);

/**
 * Checks the host's own X.509-SVID, before its TLS shows it to anybody: at start, and at each rotation (T22).
 *
 * The chain leads to an authority that the engine trusts, its leaf is good for both ends of TLS, and its id is that of the
 * workload `me` in the policy in force. The key never comes here: a TLS library checks that it fits the leaf.
 *
 * @param engine the engine
 * @param me which workload of the policy this is
 * @param chain the certificates in DER, the leaf first
 * @param chain_len how many
 * @param now_unix the time, in seconds since 1970
 * @param expires_unix receives seconds since 1970 from when on it proves nothing: rotate well before; 0 unless `ZTL_OK` is
 *   returned
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the texts and the chain are readable; `expires_unix` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_svid_check(const struct ztl_engine *engine,
                          struct ztl_str me,
                          const struct ztl_str *chain,
                          size_t chain_len,
                          uint64_t now_unix,
                          uint64_t *expires_unix,
                          struct ztl_error **error);

/**
 * Step two: permits a connection to this workload, or from it, or denies it. Recorded either way.
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
 * What of a request on a flow is looked at under the policy in force, so that the host need not gather the rest, and takes away
 * what the peer is not trusted to say. `ztl_action_authorize` hides such fields from rules itself; what serves the request sees
 * what the host hands it.
 *
 * The policy may change before `ztl_action_authorize` judges, and then nothing was gathered for its rules: a forbid of whom a token
 * names would not fire on a token that nobody verified, and what the peer says in a field would be served under a policy that hides
 * it. So ask again after a permit: where a bit of what can be gathered is set that was not, or the bit of a field that the request
 * has differs from before, gather it or take it away, and authorize anew before anything is served (T12).
 *
 * @param engine the engine that permitted the flow
 * @param flow the permitted flow
 * @param now_unix the time, in seconds since 1970
 * @param reads receives `ZTL_READS_*`, added up; 0 unless `ZTL_OK` is returned
 * @param error receives the reason; may be NULL. A flow that is no longer permitted is `ZTL_DENIED`, and recorded.
 *   Authorize the request all the same: that denial has the decision's id, its stage, and says what was asked for
 *
 * # Safety
 * `engine` and `flow` are NULL or live; `reads` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_flow_reads(const struct ztl_engine *engine,
                          const struct ztl_flow *flow,
                          uint64_t now_unix,
                          uint32_t *reads,
                          struct ztl_error **error);

/**
 * Takes somebody's word for what a token says. **ztl verifies nothing here**: whoever calls this vouches for signature, issuer,
 * audience and time.
 *
 * @param engine the engine at which the claims will be used
 * @param claims one object of JSON, at most 64 KiB; a member name twice is refused
 * @param expires_unix seconds since 1970 from when on the claims no longer hold: the `exp` of the token
 * @param out receives the claims; NULL unless `ZTL_OK` is returned. End them with `ztl_claims_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the text is readable; `out` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_claims_assert_dangerous(const struct ztl_engine *engine,
                                       struct ztl_str claims,
                                       uint64_t expires_unix,
                                       struct ztl_claims **out,
                                       struct ztl_error **error);

/**
 * Ends claims. NULL is none.
 *
 * # Safety
 * `claims` is NULL or live, no other thread uses it, and it is not used after this.
 */
void ztl_claims_free(struct ztl_claims *claims);

/**
 * Takes tokens of an issuer, in place of what was said of an issuer of that name before. Call it again when its keys have
 * changed: claims of tokens that were signed with a key that is gone count no more, and none at all where it has another kind, `iss` or
 * audience. Where nothing but keys changes, tokens that were good before are still known as such, those whose key is gone aside.
 *
 * @param engine the engine
 * @param issuer the issuer
 * @param error receives the reason; may be NULL. `ZTL_ERR_UNSUPPORTED` where the library was built without tokens,
 *   `ZTL_ERR_KEYS` where the issuer or its keys are refused; what was in force stays
 *
 * # Safety
 * `engine` is NULL or live; `issuer` is NULL or readable, with readable texts; `error` is NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_engine_issuer(const struct ztl_engine *engine,
                             const struct ztl_issuer *issuer,
                             struct ztl_error **error);

/**
 * Verifies a bearer token (RFC 7519) of the caller of a flow: signature, issuer, audience, kind, time, and, where it is bound
 * to a certificate (RFC 8705), that the caller proved itself by that one.
 *
 * A token that is refused is `ZTL_ERR_TOKEN`, which decides and records nothing: go on without claims, and rules that ask for
 * a token deny and record it, or answer 401 at once. Where `ztl_flow_reads` says `ZTL_READS_TOKEN` neither before the request is
 * authorized nor after, none need be verified.
 *
 * Each caller has a budget of 256 bad tokens, and of 64 more a second. Past it, only tokens that were good before are taken; of any
 * other nothing is found out: `ZTL_ERR_BUDGET`, for which the answer is 429 (T34). A host that goes on without claims instead, and
 * lets a request run for longer than a second, has to verify its token again then: a forbid may name whom the token names (T12).
 *
 * @param engine the engine
 * @param flow the caller's permitted flow
 * @param token the token itself, without `Bearer`. Refuse a request that bears two, one of them in its query maybe
 * @param now_unix the time, in seconds since 1970
 * @param out receives the claims, for requests on this caller's flows; NULL unless `ZTL_OK` is returned. End them with
 *   `ztl_claims_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` and `flow` are NULL or live; the text is readable; `out` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_token_verify(const struct ztl_engine *engine,
                            const struct ztl_flow *flow,
                            struct ztl_str token,
                            uint64_t now_unix,
                            struct ztl_claims **out,
                            struct ztl_error **error);

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
 * `engine` and `flow` are NULL or live; `request` is NULL or readable, with readable texts and headers and live claims or none; `decision` and `error`
 * are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_action_authorize(const struct ztl_engine *engine,
                                const struct ztl_flow *flow,
                                const struct ztl_action_request *request,
                                struct ztl_decision *decision,
                                struct ztl_error **error);

/**
 * Records that the host itself refuses a request on a permitted flow, or ends one that runs: what a proved caller is denied for has
 * a record, whoever denies it (law 6). Never returns `ZTL_OK`: that it was recorded is `ZTL_DENIED`, with the denial's id, at the
 * stage of an action. Where `ztl_action_authorize` denies, it has recorded that itself; do not call both.
 *
 * `reason` is one of
 *
 * - `ZTL_REASON_PATH_AMBIGUOUS`: the host cannot read the request, or its framework reads another one than stood on the wire
 * - `ZTL_REASON_MISDIRECTED`: it is for another host, such as than the server name of its connection
 * - `ZTL_REASON_FORWARDED_UNTRUSTED`: an id that is passed on cannot be read, or be taken away
 * - `ZTL_REASON_EVIDENCE_MISSING`: what a rule reads could not be gathered
 * - `ZTL_REASON_OBJECTED`: something of the host's own says no
 * - `ZTL_REASON_AUTHORIZER_FAILED`: something of the host's own failed, or was not done in time
 * - `ZTL_REASON_FLOW_WITHDRAWN`: what the request was permitted by has changed since
 *
 * Any other is `ZTL_ERR_ARG`, and nothing is recorded.
 *
 * @param engine the engine that permitted the flow
 * @param flow the permitted flow
 * @param request what was asked for, as far as the host knows: `method` and `target` may be absent, and what cannot be named is left
 *   out of the record. `trust_score` and `claims` are not read, and of the header fields none but `upgrade` and `connection`; where
 *   there are more of them than are taken, none at all
 * @param reason why
 * @param decision receives the denial; set its `size` first
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` and `flow` are NULL or live; `request` is NULL or readable, with readable texts and headers; `decision` and `error` are NULL
 * or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_action_refuse(const struct ztl_engine *engine,
                             const struct ztl_flow *flow,
                             const struct ztl_action_request *request,
                             uint32_t reason,
                             struct ztl_decision *decision,
                             struct ztl_error **error);

/**
 * Explains what `ztl_flow_permit` and `ztl_action_authorize` would say, down to the clause of the rule that it hangs on, and
 * which requests nearby would be permitted. Decides and records nothing: `ZTL_OK` says that there is an explanation, **not**
 * that anything is permitted. What those deny before they look at a rule is `ZTL_ERR_ARG` here, with the reason in words: a peer
 * that is not the workload that `to` names, a host that is not the workload's or that has more than one reading, a field that asks for
 * another method or target, more header fields than are looked at, an id that is passed on and cannot be read.
 *
 * @param engine the engine
 * @param connection the connection, with its peer
 * @param request what is asked for on it; NULL asks for the connection alone. Its `now_unix` is not read, that of
 *   `connection` is
 * @param document the policy's own text, for the numbers of lines; absent: these say nothing
 * @param text receives one object of JSON, as `ztl explain --format json` prints it; NULL unless `ZTL_OK` is returned. End it
 *   with `ztl_text_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; `connection` and `request` are NULL or readable, with live handles and readable texts; `document` is
 * readable; `text` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_explain(const struct ztl_engine *engine,
                       const struct ztl_flow_request *connection,
                       const struct ztl_action_request *request,
                       struct ztl_str document,
                       struct ztl_text **text,
                       struct ztl_error **error);

/**
 * What a workload can reach under the policy in force, over any number of hops: its blast radius. Of `external:NAME` it says
 * who reaches that destination outside the mesh. Decides and records nothing.
 *
 * @param engine the engine
 * @param workload its name in the policy, or `external:` and the name of a destination outside the mesh
 * @param text receives one object of JSON, as `ztl reach --json` prints it; NULL unless `ZTL_OK` is returned. End it with
 *   `ztl_text_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; `workload` is readable; `text` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_reach(const struct ztl_engine *engine,
                     struct ztl_str workload,
                     struct ztl_text **text,
                     struct ztl_error **error);

/**
 * What another policy would change, if it were put in force: what would be permitted that is denied now, and denied that is
 * permitted. Exact, each change with a request that shows it. Decides and records nothing, and puts nothing in force.
 *
 * @param engine the engine
 * @param policy the document
 * @param format `ZTL_FORMAT_TOML` or `ZTL_FORMAT_JSON`
 * @param text receives one object of JSON: `permits_more`, `denies_more`, `newly_permitted`, `newly_denied`, `document`, and
 *   the revisions `old` and `new`; NULL unless `ZTL_OK` is returned. End it with `ztl_text_free`
 * @param error receives the reason; may be NULL
 *
 * # Safety
 * `engine` is NULL or live; the text is readable; `text` and `error` are NULL or may be written.
 */
ZTL_MUST_USE
ztl_status ztl_diff(const struct ztl_engine *engine,
                    struct ztl_str policy,
                    uint32_t format,
                    struct ztl_text **text,
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
