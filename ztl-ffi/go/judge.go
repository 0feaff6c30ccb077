//go:build cgo

package ztl

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// tries is how often a request is judged while the policy changes under the judgement, before it is refused.
const tries = 16

var (
	errOtherFields = errors.New("whom the request speaks for is read elsewhere by now than when it was served")
	errChanged     = errors.New("the policy changed as often as the request was judged")
	errScore       = errors.New("TrustScore gave a number that is no score: 0 to 100, or -1 for none")
)

// judged is a request that is permitted.
type judged struct {
	from    *flow
	expires time.Time
	// passes are the fields, of those that it has, in which its caller is trusted to say whom it speaks for.
	passes reads
}

// judging is how a request is judged.
type judging struct {
	// again is the request while it is served; nil before.
	again *running
	// token is that of the request, as far as anybody has looked at it.
	token *token
	// anew says that a flow that was withdrawn is proved anew, so that its denial is that of nothing but the flow.
	anew bool
	// alone says that nobody is waited for: where the host would have to be asked for a score, the judgement is errWaits, and nothing
	// is recorded.
	alone bool
}

// on judges a request on a flow.
func (g *Guard) on(from *flow, r *http.Request, how judging) (judged, error) {
	said := passedOn(r.Header)
	// What no rule looks at costs nothing (T34).
	if said == 0 && g.config.TrustScore == nil && g.issuers.Load() == 0 {
		expires, err := g.looking(0, from, r, how)
		return judged{from, expires, 0}, err
	}
	looked, known, err := g.looksAt(from, how.anew)
	if err != nil {
		return judged{}, err
	}
	for range tries {
		// T12: a forbid of whom it speaks for does not fire where that is read in no field any more, or was read in none.
		if known && how.again != nil && how.again.served && how.again.passes != looked&said {
			return judged{}, g.refuse(from, r, ForwardedUntrusted, errOtherFields)
		}
		expires, err := g.looking(looked, from, r, how)
		if err != nil {
			return judged{}, err
		}
		// A policy that came in between may forbid by what was not gathered for it, or believe the caller in another field (T12).
		after, still, err := g.looksAt(from, how.anew)
		if err != nil {
			return judged{}, err
		}
		if known && still && after&^looked&readsGathered == 0 && (after^looked)&said == 0 {
			return judged{from, expires, looked & said}, nil
		}
		looked, known = after|looked&readsGathered, still
	}
	return judged{}, g.refuse(from, r, FlowWithdrawn, errChanged)
}

// looksAt is what of a request on a flow a rule could read. Where the flow is denied that is not known: the denial that is told is
// that of the request, which is looked up by its id and says what was asked for. One that is withdrawn and then proved anew is denied
// to nobody, so that the audit has no second denial of it.
func (g *Guard) looksAt(from *flow, anew bool) (looked reads, known bool, err error) {
	looked, err = g.engine.reads(from, g.config.Now())
	denial := &Denial{}
	if errors.As(err, &denial) && !(anew && denial.Reason == FlowWithdrawn) {
		return 0, false, nil
	}
	return looked, err == nil, err
}

// looking judges a request by it and by what was asked to be gathered.
func (g *Guard) looking(looked reads, from *flow, r *http.Request, how judging) (time.Time, error) {
	scored := g.config.TrustScore != nil && looked&readsTrustScore != 0
	if scored && how.alone {
		return time.Time{}, errWaits
	}
	ask := asking.Get().(*asked)
	defer ask.free()
	ask.request(r.Method, r.RequestURI, r.Host, r.Header)
	if scored {
		// T12: the host reads there whom it asks about as little as the handler does.
		given, err := g.askScore(asTrusted(r, looked), from)
		// Nothing is decided, and recorded as such, about what was cut while the score was waited for.
		if how.again != nil && how.again.ended() {
			return time.Time{}, errJudgedLate
		}
		if err != nil {
			return time.Time{}, g.refuse(from, r, AuthorizerFailed, err)
		}
		ask.score = given
	}
	// The host may have taken its time.
	now := g.config.Now()
	var bad error
	var anew time.Time
	if looked&readsToken != 0 {
		// No issuer changes between the look and the judgement, which would find claims that rest on nothing.
		g.telling.RLock()
		defer g.telling.RUnlock()
		ask.claims, anew, bad = how.token.of(g, from, r, now)
		// A token that nobody could look at is not one that is bad: whom it names may be forbidden.
		if bad != nil && !errors.Is(bad, ErrToken) && !errors.Is(bad, ErrBudget) {
			return time.Time{}, g.refuse(from, r, AuthorizerFailed, bad)
		}
	}
	expires, err := g.engine.authorize(from, ask, now)
	if err != nil {
		if bad != nil {
			err = errors.Join(err, bad)
		}
		return time.Time{}, err
	}
	// What is taken for bad may name by now whom a rule that is new forbids.
	if !anew.IsZero() && (expires.IsZero() || anew.Before(expires)) {
		expires = anew
	}
	return expires, nil
}

// askScore asks the host for one. What it does not answer well denies.
func (g *Guard) askScore(r *http.Request, from *flow) (given int32, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("TrustScore panicked: %v", panicked)
		}
	}()
	given = score(g.config.TrustScore(r, Peer{ID: from.peer}))
	if given > 100 {
		return 0, errScore
	}
	return given, nil
}

// score is one that the library takes, or one that it refuses: 2^32 + 100 is not 100.
func score(given int) int32 {
	if given < -1 || given > 100 {
		return 101
	}
	return int32(given)
}

// refuse records that the guard itself denies a request on a flow (law 6), and says so.
func (g *Guard) refuse(from *flow, r *http.Request, reason Reason, why error) error {
	ask := asking.Get().(*asked)
	defer ask.free()
	ask.add(r.Method)
	ask.add(r.RequestURI)
	// One that comes twice is named by no rule; a third says nothing more.
	for _, name := range []string{"Upgrade", "Connection"} {
		for _, value := range r.Header[name][:min(2, len(r.Header[name]))] {
			ask.add(name)
			ask.add(value)
		}
	}
	err := g.engine.refuse(from, ask, reason, g.config.Now())
	denial := &Denial{}
	if !errors.As(err, &denial) {
		// What could not be recorded is denied all the same.
		return errors.Join(why, err)
	}
	denial.Message, denial.cause = why.Error(), why
	return denial
}
