package ztl

/*
#cgo noescape ztl_flow_reads
#cgo nocallback ztl_flow_reads
#include <ztl.h>
*/
import "C"

import (
	"runtime"
	"time"
)

func (e *engine) reads(f *flow, now time.Time) (reads, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.ptr == nil {
		return 0, ErrClosed
	}
	var what C.uint32_t
	var cerr *C.ztl_error
	status := C.ztl_flow_reads(e.ptr, f.ptr, C.uint64_t(now.Unix()), &what, &cerr)
	runtime.KeepAlive(f)
	runtime.KeepAlive(e)
	return reads(what), failed(status, cerr, nil)
}
