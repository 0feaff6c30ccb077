package ztl

/*
#cgo pkg-config: ztl
#cgo noescape goz_authorize
#cgo nocallback goz_authorize
#include <stdlib.h>
#include <string.h>
#include "request.h"

#if ZTL_ABI_VERSION != 1
#error "this package is of version 1 of ztl's ABI; install the library that goes with it"
#endif

static ztl_status goz_new(const void *policy, size_t policy_len, uint32_t format, const void *audit, size_t audit_len,
                          ztl_engine **engine, ztl_error **error)
{
    return ztl_engine_new(goz_str(policy, policy_len), format, goz_str(audit, audit_len), engine, error);
}

static ztl_status goz_new_from_file(const void *path, size_t path_len, uint32_t format, const void *audit, size_t audit_len,
                                    ztl_engine **engine, ztl_error **error)
{
    return ztl_engine_new_from_file(goz_str(path, path_len), format, goz_str(audit, audit_len), engine, error);
}

static ztl_status goz_swap_from_file(const ztl_engine *engine, const void *path, size_t len, uint32_t format, ztl_error **error)
{
    return ztl_engine_swap_from_file(engine, goz_str(path, len), format, error);
}

static ztl_status goz_swap(const ztl_engine *engine, const void *policy, size_t len, uint32_t format, ztl_error **error)
{
    return ztl_engine_swap(engine, goz_str(policy, len), format, error);
}

static ztl_status goz_trust(const ztl_engine *engine, const void *domain, size_t domain_len, const void *pem, size_t pem_len,
                            ztl_error **error)
{
    return ztl_engine_trust(engine, goz_str(domain, domain_len), goz_str(pem, pem_len), error);
}

static ztl_status goz_crls(const ztl_engine *engine, const void *domain, size_t domain_len, const void *lists, size_t lists_len,
                           ztl_error **error)
{
    return ztl_engine_crls(engine, goz_str(domain, domain_len), goz_str(lists, lists_len), error);
}

static ztl_status goz_issuer(const ztl_engine *engine, uint32_t kind, const uint8_t *arena, const size_t *lens, ztl_error **error)
{
    ztl_issuer issuer;
    issuer.size = (uint32_t)sizeof issuer;
    issuer.kind = kind;
    issuer.name = goz_str(arena, lens[0]);
    arena += lens[0];
    issuer.iss = goz_str(arena, lens[1]);
    arena += lens[1];
    issuer.audience = goz_str(arena, lens[2]);
    arena += lens[2];
    issuer.jwks = goz_str(arena, lens[3]);
    return ztl_engine_issuer(engine, &issuer, error);
}

// Certificates one after the other, at most 17: one more than the library looks at.
static size_t goz_chain(ztl_str *chain, const uint8_t *ders, const size_t *lens, size_t count)
{
    size_t i;
    for (i = 0; i < count && i < 17; i++) {
        chain[i] = goz_str(ders, lens[i]);
        ders += lens[i];
    }
    return i;
}

static ztl_status goz_svid(const ztl_engine *engine, const void *me, size_t me_len, const uint8_t *ders, const size_t *lens,
                           size_t count, uint64_t now, uint64_t *expires, ztl_error **error)
{
    ztl_str chain[17];
    count = goz_chain(chain, ders, lens, count);
    return ztl_svid_check(engine, goz_str(me, me_len), chain, count, now, expires, error);
}

// Proves the peer, and permits the flow. The peer is given back with the flow and with nothing else.
static ztl_status goz_connect(const ztl_engine *engine, const void *me, size_t me_len, uint16_t port, uint16_t flags,
                              const void *addr, size_t addr_len, const void *to, size_t to_len, const uint8_t *ders,
                              const size_t *lens, size_t count, uint64_t now, ztl_peer **peer, ztl_flow **flow,
                              ztl_decision *decision, ztl_error **error)
{
    ztl_str chain[17];
    ztl_flow_request request;
    ztl_status status;
    int tries;
    *flow = NULL;
    request.size = (uint32_t)sizeof request;
    request.port = port;
    request.flags = flags;
    request.me = goz_str(me, me_len);
    request.from_addr = goz_str(addr, addr_len);
    request.now_unix = now;
    request.to = goz_str(to, to_len);
    count = goz_chain(chain, ders, lens, count);
    for (tries = 0;; tries++) {
        // What one try decided is not what the next one fails for.
        memset(decision, 0, sizeof *decision);
        request.peer = NULL;
        status = ztl_peer_prove(engine, &request, chain, count, peer, error);
        if (status != ZTL_OK) {
            return status;
        }
        request.peer = *peer;
        decision->size = (uint32_t)sizeof *decision;
        status = ztl_flow_permit(engine, &request, flow, decision, error);
        if (status == ZTL_OK) {
            return status;
        }
        ztl_peer_free(*peer);
        *peer = NULL;
        // What it was proved by changed since: it may be proved by what is in force now.
        if (tries > 0 || status != ZTL_DENIED ||
            (decision->reason != ZTL_REASON_IDENTITY_EXPIRED && decision->reason != ZTL_REASON_FLOW_WITHDRAWN)) {
            return status;
        }
        ztl_error_free(*error);
    }
}

static ztl_status goz_token(const ztl_engine *engine, const ztl_flow *flow, const void *token, size_t len, uint64_t now,
                            ztl_claims **claims, ztl_error **error)
{
    return ztl_token_verify(engine, flow, goz_str(token, len), now, claims, error);
}

// Texts one after the other: method, target, then name and value of each field.
static ztl_status goz_authorize(const ztl_engine *engine, const ztl_flow *flow, const ztl_claims *claims, const uint8_t *arena,
                                const uint32_t *lens, size_t fields, uint64_t now, int32_t score, ztl_decision *decision,
                                ztl_error **error)
{
    ztl_header on_stack[32];
    ztl_header *headers = on_stack;
    ztl_action_request request;
    ztl_status status;
    size_t i;
    decision->size = (uint32_t)sizeof *decision;
    decision->permit = 0;
    *error = NULL;
    if (fields > 32) {
        headers = (ztl_header *)malloc(fields * sizeof *headers);
        if (headers == NULL) {
            return ZTL_ERR_SYSTEM;
        }
    }
    goz_request(&request, headers, arena, lens, fields, now);
    request.trust_score = score;
    request.claims = claims;
    status = ztl_action_authorize(engine, flow, &request, decision, error);
    if (headers != on_stack) {
        free(headers);
    }
    return status;
}
*/
import "C"

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Format of a policy document.
type Format uint32

const (
	// TOML is the format where nothing is said.
	TOML Format = iota
	// JSON is the same document in JSON.
	JSON
)

func (f Format) number() C.uint32_t {
	if f == JSON {
		return C.ZTL_FORMAT_JSON
	}
	return C.ZTL_FORMAT_TOML
}

// Version is that of the C library.
func Version() string { return C.GoString(C.ztl_version()) }

// engine is the C library's. Each call holds the lock that close waits for.
type engine struct {
	mu  sync.RWMutex
	ptr *C.ztl_engine
	// unused frees it where nobody closed it.
	unused runtime.Cleanup
}

func data(text string) (unsafe.Pointer, C.size_t) {
	return unsafe.Pointer(unsafe.StringData(text)), C.size_t(len(text))
}

func bytes(text []byte) (unsafe.Pointer, C.size_t) {
	return unsafe.Pointer(unsafe.SliceData(text)), C.size_t(len(text))
}

// failed turns a status into an error, and frees what came with it. Whatever is not ZTL_OK is one.
func failed(status C.ztl_status, cerr *C.ztl_error, decision *C.ztl_decision) error {
	if status == C.ZTL_OK {
		return nil
	}
	var message string
	reason, lack := Reason(C.ztl_error_reason(cerr)), Lack(C.ztl_error_lack(cerr))
	var id [16]C.uint8_t
	if cerr != nil {
		// Also where there was no decision to fill: who is not proved is denied under an id as well.
		_ = C.ztl_error_decision(cerr, &id)
		var ptr *C.uint8_t
		var length C.size_t
		if C.ztl_error_message(cerr, &ptr, &length) == C.ZTL_OK {
			message = strings.Clone(unsafe.String((*byte)(ptr), int(length)))
		}
		C.ztl_error_free(cerr)
	}
	if status != C.ZTL_DENIED {
		if message == "" {
			message = Status(status).Error()
		}
		return &Error{Status: Status(status), Message: message}
	}
	// Where the decision was not filled it was the peer that was not proved.
	denial := &Denial{Reason: reason, Lack: lack, ID: *(*[16]byte)(unsafe.Pointer(&id)), Stage: stages[1], Message: message}
	if decision != nil && decision.reason != C.ZTL_REASON_NOT_JUDGED {
		denial.Rule = C.GoString(&decision.rule[0])
		if int(decision.stage) < len(stages) {
			denial.Stage = stages[decision.stage]
		}
	}
	return denial
}

// newEngine takes the policy from a file where it is not given.
func newEngine(policy []byte, file string, format Format, auditFile string) (*engine, error) {
	if version := C.ztl_abi_version(); version != C.ZTL_ABI_VERSION {
		return nil, &Error{Status: ErrUnsupported, Message: "the library that was loaded is of another version of ztl's ABI"}
	}
	e := &engine{}
	var cerr *C.ztl_error
	audit, auditLength := data(auditFile)
	var status C.ztl_status
	if len(policy) > 0 {
		text, length := bytes(policy)
		status = C.goz_new(text, length, format.number(), audit, auditLength, &e.ptr, &cerr)
	} else {
		path, length := data(file)
		status = C.goz_new_from_file(path, length, format.number(), audit, auditLength, &e.ptr, &cerr)
	}
	if err := failed(status, cerr, nil); err != nil {
		return nil, err
	}
	e.unused = runtime.AddCleanup(e, func(ptr *C.ztl_engine) { C.ztl_engine_free(ptr) }, e.ptr)
	return e, nil
}

// with calls do with the engine, which is not closed meanwhile.
func (e *engine) with(do func(*C.ztl_engine) (C.ztl_status, *C.ztl_error)) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.ptr == nil {
		return ErrClosed
	}
	status, cerr := do(e.ptr)
	runtime.KeepAlive(e)
	return failed(status, cerr, nil)
}

// close makes every later call fail, and frees the library's engine, which no call uses any more: the collector, which does not see how
// large it is, would come late.
func (e *engine) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ptr == nil {
		return
	}
	e.unused.Stop()
	C.ztl_engine_free(e.ptr)
	e.ptr = nil
}

func (e *engine) swap(policy []byte, format Format) error {
	return e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		text, length := bytes(policy)
		status = C.goz_swap(ptr, text, length, format.number(), &cerr)
		return
	})
}

func (e *engine) swapFile(path string, format Format) error {
	return e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		text, length := data(path)
		status = C.goz_swap_from_file(ptr, text, length, format.number(), &cerr)
		return
	})
}

func (e *engine) trust(domain string, pem []byte) error {
	return e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		name, nameLength := data(domain)
		text, length := bytes(pem)
		status = C.goz_trust(ptr, name, nameLength, text, length, &cerr)
		return
	})
}

func (e *engine) crls(domain string, lists []byte) error {
	return e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		name, nameLength := data(domain)
		text, length := bytes(lists)
		status = C.goz_crls(ptr, name, nameLength, text, length, &cerr)
		return
	})
}

func (e *engine) issuer(issuer Issuer) error {
	return e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		var arena []byte
		var lens [4]C.size_t
		for i, text := range []string{issuer.Name, issuer.Iss, issuer.Audience, string(issuer.JWKS)} {
			arena = append(arena, text...)
			lens[i] = C.size_t(len(text))
		}
		kind := C.uint32_t(C.ZTL_TOKEN_ACCESS)
		switch {
		case issuer.JWTSVIDs:
			kind = C.ZTL_TOKEN_SVID
		case issuer.IDTokens:
			kind = C.ZTL_TOKEN_ID
		}
		status = C.goz_issuer(ptr, kind, (*C.uint8_t)(unsafe.SliceData(arena)), &lens[0], &cerr)
		return
	})
}

// chain is certificates in DER, the leaf first, one after the other.
type chain struct {
	ders []byte
	lens []C.size_t
}

func (c *chain) add(der []byte) {
	c.ders = append(c.ders, der...)
	c.lens = append(c.lens, C.size_t(len(der)))
}

func (c *chain) raw() (*C.uint8_t, *C.size_t, C.size_t) {
	return (*C.uint8_t)(unsafe.SliceData(c.ders)), unsafe.SliceData(c.lens), C.size_t(len(c.lens))
}

func (e *engine) checkSVID(me string, svid *chain, now time.Time) (expires time.Time, err error) {
	err = e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		var unix C.uint64_t
		name, nameLength := data(me)
		ders, lens, count := svid.raw()
		status = C.goz_svid(ptr, name, nameLength, ders, lens, count, C.uint64_t(now.Unix()), &unix, &cerr)
		expires = time.Unix(int64(unix), 0)
		return
	})
	return
}

// flow is a flow that the policy permits, and whose it is.
type flow struct {
	ptr     *C.ztl_flow
	peer    string
	expires time.Time
}

// connection is a connection that is to be judged.
type connection struct {
	me     string
	port   uint16
	addr   string
	to     string
	chain  chain
	egress bool
}

// connect proves the peer and permits the flow.
func (e *engine) connect(c *connection, now time.Time) (*flow, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.ptr == nil {
		return nil, ErrClosed
	}
	var peer *C.ztl_peer
	var ptr *C.ztl_flow
	var cerr *C.ztl_error
	var decision C.ztl_decision
	flags := C.uint16_t(0)
	if c.egress {
		flags = C.ZTL_FLOW_EGRESS
	}
	me, meLength := data(c.me)
	addr, addrLength := data(c.addr)
	to, toLength := data(c.to)
	ders, lens, count := c.chain.raw()
	status := C.goz_connect(e.ptr, me, meLength, C.uint16_t(c.port), flags, addr, addrLength, to, toLength, ders, lens, count,
		C.uint64_t(now.Unix()), &peer, &ptr, &decision, &cerr)
	runtime.KeepAlive(e)
	if err := failed(status, cerr, &decision); err != nil {
		return nil, err
	}
	var text *C.uint8_t
	var length C.size_t
	status = C.ztl_peer_id(peer, &text, &length)
	made := &flow{ptr: ptr, expires: until(decision.expires_unix)}
	runtime.AddCleanup(made, func(ptr *C.ztl_flow) { C.ztl_flow_free(ptr) }, ptr)
	if status == C.ZTL_OK {
		made.peer = strings.Clone(unsafe.String((*byte)(text), int(length)))
	}
	C.ztl_peer_free(peer)
	return made, nil
}

// claims are those of a verified token.
type claims struct {
	ptr *C.ztl_claims
	// unused frees them where nobody did.
	unused runtime.Cleanup
}

// free ends them, which nobody uses meanwhile or after it.
func (c *claims) free() {
	c.unused.Stop()
	C.ztl_claims_free(c.ptr)
	c.ptr = nil
}

// verify looks at a token. What the library does not even read of it, for its length or for what its bytes are, is a bad one like any other.
func (e *engine) verify(f *flow, token string, now time.Time) (*claims, error) {
	made := &claims{}
	err := e.with(func(ptr *C.ztl_engine) (status C.ztl_status, cerr *C.ztl_error) {
		text, length := data(token)
		status = C.goz_token(ptr, f.ptr, text, length, C.uint64_t(now.Unix()), &made.ptr, &cerr)
		return
	})
	runtime.KeepAlive(f)
	if errors.Is(err, ErrArgument) || errors.Is(err, ErrUTF8) {
		return nil, &Error{Status: ErrToken, Message: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	made.unused = runtime.AddCleanup(made, func(ptr *C.ztl_claims) { C.ztl_claims_free(ptr) }, made.ptr)
	return made, nil
}

// asked is what is asked for, flat: C gets no pointer to a pointer of Go.
type asked struct {
	arena  []byte
	lens   []uint32
	score  int32
	claims *claims
}

func (a *asked) add(text string) {
	a.arena = append(a.arena, text...)
	a.lens = append(a.lens, uint32(len(text)))
}

// authorize is nil only with a permit, which holds until then.
func (e *engine) authorize(f *flow, a *asked, now time.Time) (time.Time, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.ptr == nil {
		return time.Time{}, ErrClosed
	}
	var token *C.ztl_claims
	if a.claims != nil {
		token = a.claims.ptr
	}
	var decision C.ztl_decision
	var cerr *C.ztl_error
	status := C.goz_authorize(e.ptr, f.ptr, token, (*C.uint8_t)(unsafe.SliceData(a.arena)),
		(*C.uint32_t)(unsafe.SliceData(a.lens)), C.size_t(len(a.lens)/2-1), C.uint64_t(now.Unix()), C.int32_t(a.score),
		&decision, &cerr)
	runtime.KeepAlive(a.claims)
	runtime.KeepAlive(f)
	runtime.KeepAlive(e)
	if status == C.ZTL_OK && decision.permit == 1 {
		return until(decision.expires_unix), nil
	}
	// A copy, so that a permit costs no allocation.
	denied := decision
	if err := failed(status, cerr, &denied); err != nil {
		return time.Time{}, err
	}
	return time.Time{}, &Error{Status: ErrPanic, Message: "the library said yes without a permit, which is a bug in it"}
}

// until is zero where the permit does not expire.
func until(unix C.uint64_t) time.Time {
	if unix > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(unix), 0)
}
