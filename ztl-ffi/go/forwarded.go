package ztl

import (
	"net/http"
	"time"
)

// reads is what of a request on a flow is looked at, as ztl.h numbers it; a test compares the numbers.
type reads uint32

const (
	readsToken      reads = 1
	readsTrustScore reads = 2
	readsXFCC       reads = 4
	readsForwarded  reads = 8
)

// passesOn are the fields in which a proxy says whom it speaks for.
var passesOn = map[string]reads{"X-Forwarded-Client-Cert": readsXFCC, "Forwarded": readsForwarded}

// strip takes away what claims to be passed on by somebody who does not do so in that field (T12).
func (g *Guard) strip(from *flow, header http.Header, now time.Time) {
	for name, bit := range passesOn {
		if _, there := header[name]; !there {
			continue
		}
		// Where nothing is known of the flow any more, nobody passes anything on.
		if trusted, err := g.engine.reads(from, now); err != nil || trusted&bit == 0 {
			delete(header, name)
		}
	}
}
