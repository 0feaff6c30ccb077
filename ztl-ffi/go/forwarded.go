package ztl

import (
	"net/http"
	"strings"
)

// reads is what of a request on a flow is looked at, as ztl.h numbers it; a test compares the numbers.
type reads uint32

const (
	readsToken      reads = 1
	readsTrustScore reads = 2
	readsXFCC       reads = 4
	readsForwarded  reads = 8
	// readsGathered is what is not in the request, or has to be proved first.
	readsGathered = readsToken | readsTrustScore
)

const (
	xfcc      = "x-forwarded-client-cert"
	forwarded = "forwarded"
)

// passesOn says whether a field, by its name, is one in which a proxy says whom it speaks for, and what its caller has to be trusted
// with: with nothing there is where only who reads fields as CGI named them takes it for one.
func passesOn(name string) (trusted reads, is bool) {
	if len(name) != len(xfcc) && len(name) != len(forwarded) {
		return 0, false
	}
	switch plain := strings.ToLower(name); {
	case plain == xfcc:
		return readsXFCC, true
	case plain == forwarded:
		return readsForwarded, true
	default:
		return 0, strings.ReplaceAll(plain, "_", "-") == xfcc
	}
}

// passedOn are those of these fields that a request has.
func passedOn(header http.Header) (said reads) {
	for name := range header {
		field, _ := passesOn(name)
		said |= field
	}
	return said
}

// strip takes away those in which nobody is trusted to pass an id on (T12).
func strip(header http.Header, trusted reads) {
	for name := range header {
		if field, is := passesOn(name); is && trusted&field == 0 {
			delete(header, name)
		}
	}
}

// asTrusted is a request without those. One that has any stays as it is, for it is judged by all that came: what comes back is another.
func asTrusted(r *http.Request, trusted reads) *http.Request {
	for name := range r.Header {
		if field, is := passesOn(name); is && trusted&field == 0 {
			seen := new(http.Request)
			*seen = *r
			seen.Header = r.Header.Clone()
			strip(seen.Header, trusted)
			return seen
		}
	}
	return r
}
