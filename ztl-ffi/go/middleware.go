//go:build cgo

package ztl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Middleware lets a request through only if a rule of the policy permits it. It has to be the outermost handler: a request whose
// path or query was changed before it is denied, and a method, host or header field that was is judged as it then is. Set
// DisableGeneralOptionsHandler on the [http.Server], which answers `OPTIONS *` itself otherwise.
//
// Fields in which nobody is trusted to pass an id on (X-Forwarded-Client-Cert, Forwarded) are taken out of the request.
//
// The handler's context carries the [Peer], and ends when the permit does: at a change of policy, authorities or keys that takes it
// away, or when a certificate or token expires. Reading and writing end with it, also on a connection that the handler has taken by Hijack:
// such a request lasts until the handler, or who serves it after that, closes the connection that Hijack gave out, and it is closed when the
// permit ends. Where that was before, Hijack says why.
func (g *Guard) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving := &writer{ResponseWriter: w, control: http.NewResponseController(w)}
		ctx, end, err := g.begin(r, serving.cut)
		if err != nil {
			answer(w, err)
			return
		}
		serving.end = sync.OnceFunc(end)
		// No other connection can be taken.
		if r.ProtoMajor == 1 {
			w = serving
		}
		returned := false
		defer func() { serving.left(returned) }()
		next.ServeHTTP(w, r.WithContext(ctx))
		returned = true
	})
}

// Begin judges a request as [Guard.Middleware] does, for servers that are not net/http's. What it reads of the request: TLS, one
// pointer for each connection; RemoteAddr; the address of the connection's own end, in the context, under
// [http.LocalAddrContextKey]; Method; RequestURI, the raw target, and URL, which says the same; Host; Header, with canonical names.
// Fields in which nobody is trusted to pass an id on are taken out of Header: what serves the request must not see them elsewhere.
//
// The context carries the [Peer] and ends when the permit does. Call end once the request was served.
func (g *Guard) Begin(r *http.Request) (ctx context.Context, end func(), err error) {
	return g.begin(r, func(error) {})
}

// begin has `cut` called, with the reason, where the permit ends before the request does.
func (g *Guard) begin(r *http.Request, cut func(error)) (context.Context, func(), error) {
	generation := g.generation.Load()
	came, shown := asItCame(r), &token{}
	first, err := g.authorize(came, judging{token: shown})
	if err != nil {
		shown.free()
		g.denied(err)
		return nil, nil, err
	}
	inbound := context.WithValue(r.Context(), peerKey{}, Peer{ID: first.from.peer})
	if shown := credentials(r.Header); len(shown) > 0 {
		inbound = context.WithValue(inbound, shownKey{}, shown)
	}
	ctx, cancel := context.WithCancelCause(inbound)
	// Whom the host's function asks about it need not be asked any longer than it runs, which may be longer than its handler (Hijack).
	runs, ended := context.WithCancelCause(context.WithoutCancel(inbound))
	came = came.WithContext(runs)
	serving := newRunning(nil, func(err error) {
		cancel(err)
		ended(err)
		cut(err)
	})
	serving.passes, serving.token = first.passes, shown
	serving.again = func(alone bool) (time.Time, error) {
		now, err := g.authorize(came, judging{again: serving, token: shown, alone: alone})
		if err == nil && !serving.served {
			serving.passes = now.passes
		}
		return now.expires, err
	}
	serving.late = func() error { return g.refuse(first.from, came, AuthorizerFailed, errJudgedLate) }
	// Whoever judges it again does so after what is known here.
	serving.turn <- struct{}{}
	defer func() { <-serving.turn }()
	g.start(serving)
	end := func() {
		g.end(serving)
		cancel(context.Canceled)
		ended(context.Canceled)
		serving.letGo()
	}
	asked, expires := uint64(0), first.expires
	// What changed between the permit and the registration is not missed.
	if g.generation.Load() != generation {
		asked, _ = serving.asks()
		if expires, err = serving.judge(false); err != nil {
			// Who cut it meanwhile tells of it.
			if g.end(serving) {
				g.denied(err)
			}
			cancel(context.Canceled)
			ended(context.Canceled)
			shown.free()
			return nil, nil, err
		}
	}
	if !serving.until(g, expires, asked) {
		err := context.Cause(ctx)
		end()
		shown.free()
		return nil, nil, err
	}
	serving.served = true
	// By what it was judged with, and not by what is in force by now (T12).
	strip(r.Header, serving.passes)
	return ctx, end, nil
}

// authorize judges a request on its connection, which is proved again where the proof is old.
func (g *Guard) authorize(r *http.Request, how judging) (judged, error) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if r.TLS == nil {
		// Who proves nothing is recorded as that (law 6).
		_, err := g.admit(nil, textAddr(r.RemoteAddr), local)
		return judged{}, errors.Join(errNoPeer, err)
	}
	held := g.inbound(r)
	for tries := 0; ; tries++ {
		how.anew = tries == 0
		from, err := held.get(func() (*flow, error) {
			return g.admit(r.TLS.PeerCertificates, textAddr(r.RemoteAddr), local)
		})
		if err != nil {
			return judged{}, err
		}
		// Once it is known whose it is, so that it is recorded (law 6).
		if err := asOnTheWire(r); err != nil {
			return judged{}, g.refuse(from, r, PathAmbiguous, err)
		}
		permitted, err := g.on(from, r, how)
		if err == nil {
			return permitted, nil
		}
		if tries > 0 || !errors.Is(err, FlowWithdrawn) {
			return judged{}, err
		}
		held.drop(from)
	}
}

// answer tells the caller no more than that it is denied, what to ask with, and the id to ask the operator about (RFC 9457).
func answer(w http.ResponseWriter, err error) {
	status, id := http.StatusForbidden, ""
	denial := &Denial{}
	if errors.As(err, &denial) && denial.ID != [16]byte{} {
		id = fmt.Sprintf(`,"decision":"%s"`, denial.Decision())
	}
	// RFC 6750 §3, RFC 9470 §3
	challenge := ""
	switch {
	case errors.Is(err, RawTargetUnavailable):
		// What changed it is the service's own.
	case denial.Reason == PathAmbiguous:
		status = http.StatusBadRequest
	case denial.Reason == Misdirected:
		status = http.StatusMisdirectedRequest
	case denial.Lack == LackToken && errors.Is(err, ErrBudget):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "1")
	case denial.Lack == LackToken && errors.Is(err, ErrToken):
		status, challenge = http.StatusUnauthorized, `Bearer error="invalid_token"`
	case denial.Lack == LackToken:
		status, challenge = http.StatusUnauthorized, "Bearer"
	case denial.Lack == LackScope:
		challenge = `Bearer error="insufficient_scope"`
	case denial.Lack == LackMFA:
		status, challenge = http.StatusUnauthorized, `Bearer error="insufficient_user_authentication", acr_values="phrh phr"`
	}
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"about:blank","title":"%s","status":%d%s}`, http.StatusText(status), status, id)
}
