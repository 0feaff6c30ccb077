//go:build cgo

package ztl

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// badFor is how many seconds a bad token is taken for one without another look: it may not have begun yet.
const badFor = 60

// lookAgain is after how long a token is looked at that was not, for its caller's budget was spent.
const lookAgain = time.Second

// token is what a request bears, as far as anybody has looked. Judged again, it has the same claims, which the library holds against the
// keys in force and the clock; what no longer counts has cost its caller nothing (T34). It is looked at anew where the claims rest on
// something else than what is said of the issuers by now, and a bad one once an issuer was told since, or [badFor] went by. One that nobody
// looked at, for its caller's budget was spent, is not known: whom it names may be forbidden, so that it is looked at each time.
type token struct {
	claims *claims
	// bad says why it is none.
	bad error
	// issuers, changed and at are how often issuers had been told, how often otherwise than before, and the time, in seconds since 1970,
	// when it was looked at.
	issuers, changed uint64
	at               int64
}

// of is the claims of a request's token, or why it has none. A bad token is none: what asks for one denies, and that is recorded. `anew` is
// when to judge the request again where a bad one was not looked at, or none could be; zero otherwise.
func (t *token) of(g *Guard, from *flow, r *http.Request, now time.Time) (held *claims, anew time.Time, bad error) {
	issuers, changed := g.issuers.Load(), g.changedIssuers.Load()
	switch age := now.Unix() - t.at; {
	case issuers == 0:
		return nil, time.Time{}, nil
	case t.claims != nil && t.changed == changed:
		return t.claims, time.Time{}, nil
	case t.bad != nil && t.issuers == issuers && age >= 0 && age < badFor:
		return nil, time.Unix(t.at+badFor, 0), t.bad
	}
	t.free()
	shown, bad := bearer(r.Header, r.RequestURI)
	if shown != "" {
		t.claims, bad = g.engine.verify(from, shown, now)
	}
	t.issuers, t.changed, t.at = issuers, changed, now.Unix()
	switch t.bad = nil; {
	case errors.Is(bad, ErrToken):
		t.bad = bad
	case errors.Is(bad, ErrBudget):
		anew = now.Add(lookAgain)
	}
	return t.claims, anew, bad
}

// free gives back what the library holds of it; nobody uses it meanwhile.
func (t *token) free() {
	if t.claims != nil {
		t.claims.free()
		t.claims = nil
	}
}

// bearer is the request's token (RFC 6750 §2.1), empty where it bears none. Two credentials are refused, and one in the query of the raw
// target (§2.3) as well (T16).
func bearer(header http.Header, target string) (string, error) {
	bad := func(why string) (string, error) { return "", &Error{Status: ErrToken, Message: why} }
	if _, query, _ := strings.Cut(target, "?"); bearsToken(query) {
		return bad("the request has an access_token in its query: send it in the Authorization field, and there alone")
	}
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

// credentials are those that the Authorization fields of a header show, however the name is written.
func credentials(header http.Header) (shown []string) {
	for name, values := range header {
		if strings.EqualFold(name, "Authorization") {
			for _, value := range values {
				shown = append(shown, credential(value))
			}
		}
	}
	return shown
}

// credential is what a value of Authorization shows, without its scheme, which is written in any letter case, and without the blanks around
// it (RFC 9110 §11.4).
func credential(value string) string {
	value = strings.Trim(value, " \t")
	if end := strings.IndexAny(value, " \t"); end >= 0 {
		return strings.TrimLeft(value[end:], " \t")
	}
	return value
}

// withholdShown takes away the Authorization of the request whose context this is (T27).
func withholdShown(ctx context.Context, header http.Header) {
	if shown, _ := ctx.Value(shownKey{}).([]string); len(shown) > 0 {
		withhold(header, shown)
	}
}

// withhold takes away the Authorization fields that show one of these credentials.
func withhold(header http.Header, shown []string) {
	for name, values := range header {
		// In the same time wherever they differ: what a caller shows must not be a guess at a credential of ours.
		is := func(value string) bool {
			own := []byte(credential(value))
			return slices.ContainsFunc(shown, func(one string) bool { return subtle.ConstantTimeCompare([]byte(one), own) == 1 })
		}
		if strings.EqualFold(name, "Authorization") && slices.ContainsFunc(values, is) {
			delete(header, name)
		}
	}
}

// bearsToken tells whether a query has a parameter access_token as any reader of it may see it: in any letter case, escaped or not,
// and after a semicolon too. Letters beside ASCII's are no others of its: as many bytes leave no room for one.
func bearsToken(query string) bool {
	for _, parameter := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(parameter, "=")
		unescaped, err := url.PathUnescape(name)
		if err == nil && len(unescaped) == len("access_token") && strings.EqualFold(unescaped, "access_token") {
			return true
		}
	}
	return false
}
