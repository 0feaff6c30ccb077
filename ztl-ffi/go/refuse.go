package ztl

/*
#include <ztl.h>

static ztl_str goz_text(const uint8_t *ptr, size_t len)
{
    ztl_str str;
    str.ptr = len ? ptr : NULL;
    str.len = len;
    return str;
}

// Texts one after the other: method, target, then name and value of at most two fields.
static ztl_status goz_refuse(const ztl_engine *engine, const ztl_flow *flow, const uint8_t *arena, const uint32_t *lens,
                             size_t fields, uint64_t now, uint32_t reason, ztl_decision *decision, ztl_error **error)
{
    ztl_header headers[2];
    ztl_action_request request;
    size_t i;
    decision->size = (uint32_t)sizeof *decision;
    request.size = (uint32_t)sizeof request;
    request.flags = 0;
    request.method = goz_text(arena, lens[0]);
    arena += lens[0];
    request.target = goz_text(arena, lens[1]);
    arena += lens[1];
    request.upgrade = goz_text(NULL, 0);
    for (i = 0; i < fields && i < 2; i++) {
        headers[i].name = goz_text(arena, lens[2 + 2 * i]);
        arena += lens[2 + 2 * i];
        headers[i].value = goz_text(arena, lens[3 + 2 * i]);
        arena += lens[3 + 2 * i];
    }
    request.headers = i ? headers : NULL;
    request.headers_len = i;
    request.now_unix = now;
    request.trust_score = -1;
    request.reserved = 0;
    request.claims = NULL;
    return ztl_action_refuse(engine, flow, &request, reason, decision, error);
}
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// refuse has a denial of the host's own recorded, and is never nil.
func (e *engine) refuse(f *flow, a *asked, reason Reason, now time.Time) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.ptr == nil {
		return ErrClosed
	}
	var decision C.ztl_decision
	var cerr *C.ztl_error
	status := C.goz_refuse(e.ptr, f.ptr, (*C.uint8_t)(unsafe.SliceData(a.arena)), (*C.uint32_t)(unsafe.SliceData(a.lens)),
		C.size_t(a.fields()), C.uint64_t(now.Unix()), C.uint32_t(reason), &decision, &cerr)
	runtime.KeepAlive(f)
	runtime.KeepAlive(e)
	if err := failed(status, cerr, &decision); err != nil {
		return err
	}
	return &Error{Status: ErrPanic, Message: "the library said yes to a refusal, which is a bug in it"}
}
