//go:build cgo

package ztl

import (
	"errors"
	"net/http"
	"time"
)

// on judges a request on a flow.
func (g *Guard) on(from *flow, r *http.Request, serving *running) (time.Time, error) {
	now := g.config.Now()
	// What no rule looks at costs nothing (T34).
	if g.config.TrustScore == nil && !g.tokens.Load() {
		return g.looking(0, from, r, serving, now)
	}
	looked, err := g.gathered(from, now)
	if err != nil {
		return time.Time{}, err
	}
	for {
		expires, err := g.looking(looked, from, r, serving, now)
		if err != nil {
			return time.Time{}, err
		}
		// A policy that came in between may forbid by what was not gathered for it (T12).
		after, err := g.gathered(from, now)
		if err != nil {
			return time.Time{}, err
		}
		if after&^looked == 0 {
			return expires, nil
		}
		looked |= after
	}
}

// gathered is what a rule could read of a request and is not in it. Where the flow is denied it is nothing: the denial that is told is
// that of the request, which is looked up by its id and says what was asked for.
func (g *Guard) gathered(from *flow, now time.Time) (reads, error) {
	looked, err := g.engine.reads(from, now)
	denial := &Denial{}
	if errors.As(err, &denial) {
		return 0, nil
	}
	return looked & (readsToken | readsTrustScore), err
}

// looking judges a request by it and by what was asked to be gathered.
func (g *Guard) looking(looked reads, from *flow, r *http.Request, serving *running, now time.Time) (time.Time, error) {
	ask := asking.Get().(*asked)
	defer ask.free()
	ask.request(r.Method, r.RequestURI, r.Host, r.Header)
	if g.config.TrustScore != nil && looked&readsTrustScore != 0 {
		ask.score = score(g.config.TrustScore(r, Peer{ID: from.peer}))
		// Nothing is permitted, and recorded as such, that was cut while the score was waited for.
		if serving != nil && serving.ended() {
			return time.Time{}, errJudgedLate
		}
	}
	// A bad token is none: what asks for one denies, and that is recorded.
	var bad error
	if looked&readsToken != 0 && g.tokens.Load() {
		var token string
		if token, bad = bearer(r.Header); token != "" {
			ask.claims, bad = g.engine.verify(from, token, now)
		}
	}
	expires, err := g.engine.authorize(from, ask, now)
	if err != nil && bad != nil {
		err = errors.Join(err, bad)
	}
	return expires, err
}

// score is one that the library takes, or one that it refuses: 2^32 + 100 is not 100.
func score(given int) int32 {
	if given < -1 || given > 100 {
		return 101
	}
	return int32(given)
}
