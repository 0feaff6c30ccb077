package ztl

/*
#include "request.h"

// As goz_authorize, of at most two fields.
static ztl_status goz_refuse(const ztl_engine *engine, const ztl_flow *flow, const uint8_t *arena, const uint32_t *lens,
                             size_t fields, uint64_t now, uint32_t reason, ztl_decision *decision, ztl_error **error)
{
    ztl_header headers[2];
    ztl_action_request request;
    decision->size = (uint32_t)sizeof *decision;
    goz_request(&request, headers, arena, lens, fields < 2 ? fields : 2, now);
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
