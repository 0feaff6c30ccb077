//go:build cgo

package ztl

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// token is what a request bears, as far as anybody has looked: once, for as long as the request runs. Judged again, it has the same
// claims, which the library holds against the keys in force and the clock; what no longer counts has cost its caller nothing (T34).
type token struct {
	claims *claims
	// bad says why it is none, as long as no issuer was told anew since; issuers is how many had been.
	bad     error
	issuers uint64
}

// of is the claims of a request's token, or why it has none. A bad token is none: what asks for one denies, and that is recorded.
func (t *token) of(g *Guard, from *flow, header http.Header, now time.Time) (*claims, error) {
	issuers := g.issuers.Load()
	if issuers == 0 || t.claims != nil || t.bad != nil && t.issuers == issuers {
		return t.claims, t.bad
	}
	shown, bad := bearer(header)
	if shown != "" {
		t.claims, bad = g.engine.verify(from, shown, now)
	}
	if t.bad = nil; errors.Is(bad, ErrToken) {
		t.bad, t.issuers = bad, issuers
	}
	return t.claims, bad
}

// free gives back what the library holds of it; nobody uses it meanwhile.
func (t *token) free() {
	if t.claims != nil {
		t.claims.free()
		t.claims = nil
	}
}

// bearer is the request's token (RFC 6750 §2.1), empty where it bears none. Two credentials are refused (T16).
func bearer(header http.Header) (string, error) {
	bad := func(why string) (string, error) { return "", &Error{Status: ErrToken, Message: why} }
	fields := header.Values("Authorization")
	switch len(fields) {
	case 0:
		return "", nil
	case 1:
	default:
		return bad("the request has more than one Authorization field")
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	if token = strings.TrimLeft(token, " "); token == "" || strings.ContainsAny(token, " ,\t") {
		return bad("the Authorization field does not bear one token")
	}
	return token, nil
}
