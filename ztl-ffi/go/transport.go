package ztl

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// target is a workload that is called.
type target struct {
	workload string
	port     uint16
}

// Transport sends requests to other workloads, as this one: https://WORKLOAD[:PORT]/path, with the workload's name in the policy; 443
// where no port is named. Whoever answers has to prove that it is that workload, and each request has to be permitted, before
// anything of it is sent: once more where something changed before it had a connection. No proxies, and no plain HTTP. Make one and keep it: it holds connections.
type Transport struct {
	// PassOnAuthorization sends the Authorization of a request that came in as well, where one goes out under its context with the same
	// credential: to whoever is called, who then holds a token that was meant for us (T27). Without it what came in stays here, however
	// its scheme and its field are written by then, and only another is sent. Set it before the first request.
	PassOnAuthorization bool

	guard *Guard
	// inner holds the connections that were made since the last change; older ones carry no further request.
	inner atomic.Pointer[http.Transport]

	mu    sync.Mutex
	known map[target]*outbound
}

// outbound is what is known of a workload that is called.
type outbound struct {
	mu    sync.Mutex
	flow  *flow
	ready []*tls.Conn
}

var _ http.RoundTripper = (*Transport)(nil)

// shownKey is where the context of a request that came in has its credentials.
type shownKey struct{}

// Transport makes a transport with its own connections.
func (g *Guard) Transport() *Transport {
	t := &Transport{guard: g, known: map[target]*outbound{}}
	t.inner.Store(&http.Transport{
		DialTLSContext: t.dialTLS,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &Error{Status: ErrArgument, Message: "plain HTTP is not spoken"}
		},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     time.Minute,
	})
	g.keep(t)
	return t
}

// CloseIdleConnections ends the connections that carry no request.
func (t *Transport) CloseIdleConnections() { t.inner.Load().CloseIdleConnections() }

// renew has every further request go over a connection that is proved anew. Those that run end on the old ones.
func (t *Transport) renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.inner.Load()
	t.inner.Store(old.Clone())
	old.CloseIdleConnections()
	for _, held := range t.known {
		held.mu.Lock()
		held.drop()
		held.mu.Unlock()
	}
}

// drop forgets the flow, and ends the connection that waits; under its lock.
func (o *outbound) drop() {
	for _, conn := range o.ready {
		_ = conn.Close()
	}
	o.flow, o.ready = nil, nil
}

// Client makes a client around a [Transport]; make one and keep it. It follows no redirects: where they lead is for the caller to judge (T27).
func (g *Guard) Client() *http.Client {
	return &http.Client{
		Transport:     g.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip sends a request, if it is permitted, without the fields in which this workload is not trusted to pass an id on
// (X-Forwarded-Client-Cert, Forwarded).
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	to, err := read(r.URL)
	if err != nil {
		return refuse(err)
	}
	out := &sending{transport: t, request: r, to: to, generation: t.guard.generation.Load()}
	if out.passes, err = t.permit(r, to); err != nil {
		return refuse(err)
	}
	// The name that was judged is the one that is sent.
	sent := r.Clone(out.under(r.Context()))
	sent.Host = ""
	// T12: for whom we speak is said by a proxy alone.
	strip(sent.Header, out.passes)
	// T27: whose token came in is not told to others.
	if !t.PassOnAuthorization {
		withholdShown(r.Context(), sent.Header)
	}
	// Looked up after it was judged: where something changed, the old connections are out of reach.
	response, err := t.inner.Load().RoundTrip(sent)
	if why := out.refusal(); why != nil {
		if err == nil {
			_ = response.Body.Close()
		}
		return nil, why
	}
	return response, err
}

// permit judges a request on a connection to its target, which is made where there is none, and says in which fields it may pass an id on.
func (t *Transport) permit(r *http.Request, to target) (reads, error) {
	for tries := 0; ; tries++ {
		flow, err := t.flow(r.Context(), to)
		if err != nil {
			return 0, err
		}
		passes, err := t.guard.sends(flow, methodOf(r), r.URL.RequestURI(), r.Header, tries == 0)
		if err == nil {
			return passes, nil
		}
		stale := errors.Is(err, FlowWithdrawn) || errors.Is(err, IdentityExpired)
		if tries > 0 || !stale {
			return 0, err
		}
		// Connections that rest on it go with it.
		t.renew()
	}
}

// methodOf is the method of a request that goes out: GET where it says none.
func methodOf(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (t *Transport) of(to target) *outbound {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.known[to]
	if held == nil {
		held = &outbound{}
		t.known[to] = held
	}
	return held
}

// forget drops what nobody has answered for: who asks for many names fills no memory.
func (t *Transport) forget(to target, held *outbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held.mu.Lock()
	defer held.mu.Unlock()
	if held.flow == nil && len(held.ready) == 0 && t.known[to] == held {
		delete(t.known, to)
	}
}

// flow is that of the newest connection to the target.
func (t *Transport) flow(ctx context.Context, to target) (*flow, error) {
	held := t.of(to)
	held.mu.Lock()
	flow := held.flow
	held.mu.Unlock()
	if flow != nil {
		return flow, nil
	}
	conn, flow, err := t.dial(ctx, to)
	if err != nil {
		t.forget(to, held)
		return nil, err
	}
	held = t.of(to)
	held.mu.Lock()
	defer held.mu.Unlock()
	// At most one waits; it was proved by the flow that is kept.
	held.drop()
	held.flow, held.ready = flow, []*tls.Conn{conn}
	return flow, nil
}

// dialTLS gives the inner transport connections that were proved.
func (t *Transport) dialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	// net/http looks for another connection where one is closed.
	if out, ok := ctx.Value(sendingKey{}).(*sending); ok && out.refusal() != nil {
		return nil, out.refusal()
	}
	to, err := parse(address)
	if err != nil {
		return nil, err
	}
	held := t.of(to)
	held.mu.Lock()
	if last := len(held.ready) - 1; last >= 0 {
		conn := held.ready[last]
		held.ready = held.ready[:last]
		held.mu.Unlock()
		return conn, nil
	}
	held.mu.Unlock()
	conn, flow, err := t.dial(ctx, to)
	if err != nil {
		t.forget(to, held)
		return nil, err
	}
	held = t.of(to)
	held.mu.Lock()
	held.flow = flow
	held.mu.Unlock()
	return conn, nil
}

func (t *Transport) dial(ctx context.Context, to target) (*tls.Conn, *flow, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	address := net.JoinHostPort(to.workload, strconv.Itoa(int(to.port)))
	if resolve := t.guard.config.Resolve; resolve != nil {
		resolved, err := resolve(ctx, to.workload, to.port)
		if err != nil {
			return nil, nil, err
		}
		address = resolved
	}
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	var proved *flow
	conn := tls.Client(plain, t.guard.clientTLS(to, func(flow *flow) { proved = flow }))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, nil, err
	}
	endAt(conn, proved.expires, t.guard.config.Now)
	return conn, proved, nil
}

// endAt ends a connection when its proof does: requests are judged by the newest one's, whose proof may hold for longer.
func endAt(conn *tls.Conn, expires time.Time, now func() time.Time) {
	if expires.IsZero() {
		return
	}
	held := weak.Make(conn)
	ends := ringAt(expires, now, 0, func() {
		if conn := held.Value(); conn != nil {
			_ = conn.Close()
		}
	})
	runtime.AddCleanup(conn, (*alarm).stop, ends)
}

func read(at *url.URL) (target, error) {
	wrong := func(why string) (target, error) { return target{}, &Error{Status: ErrArgument, Message: why} }
	switch {
	case at == nil || at.Scheme != "https":
		return wrong("a workload is called by https://WORKLOAD[:PORT]/path")
	case at.User != nil:
		return wrong("the URL has a name or a password in it")
	}
	port := at.Port()
	if port == "" {
		port = "443"
	}
	return parse(net.JoinHostPort(at.Hostname(), port))
}

// isWorkload says whether a host can be the name of a workload, which has no dot: nothing else is looked up or dialled (T27).
func isWorkload(host string) bool {
	fits := func(r rune) bool { return r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' }
	return host != "" && len(host) <= 64 && strings.IndexFunc(host, func(r rune) bool { return !fits(r) }) < 0
}

func parse(address string) (target, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return target{}, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || !isWorkload(host) {
		return target{}, &Error{Status: ErrArgument, Message: "the URL names no workload, or a port that is none"}
	}
	return target{workload: host, port: uint16(port)}, nil
}
