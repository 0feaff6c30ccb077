package ztl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A handler may change its request: what is judged again is what came, and never a map that somebody writes to.
func TestT19AHandlerThatChangesItsRequestIsJudgedByWhatCame(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	leaf := a.issue(id("router"))
	changing, done := make(chan struct{}), make(chan struct{})
	var cause error
	guarded := guard.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/elsewhere"
		close(changing)
		for i := 0; ; i++ {
			r.Header.Set(fmt.Sprint("X-", i%8), "x")
			select {
			case <-r.Context().Done():
				cause = r.Context().Err()
				return
			case <-done:
				return
			default:
			}
		}
	}))
	request := a.request(leaf, "GET", "/v1/live")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		guarded.ServeHTTP(&recorder{header: http.Header{}}, request)
	}()
	<-changing
	for i := range 50 {
		if err := guard.Swap([]byte(policy + strings.Repeat("\n", i))); err != nil {
			t.Error(err)
		}
	}
	close(done)
	<-ended
	if cause != nil {
		t.Error("a request that is still permitted was cut:", cause)
	}
}

// The writer of a request that was served is not touched: over HTTP/2 that would end the process.
func TestLaw8ARequestThatWasServedIsNotCut(t *testing.T) {
	var stopped atomic.Int32
	denied := errors.New("no")
	request := newRunning(nil, func(error) { stopped.Add(1) })
	if !request.cut(denied) || request.cut(denied) || request.end() {
		t.Error("it is cut once")
	}
	if request.told() != denied || request.told() != nil {
		t.Error("it is told once")
	}
	served := newRunning(nil, request.stop)
	if !served.end() || served.cut(denied) || served.told() != nil || stopped.Load() != 1 {
		t.Error("it was cut after its end")
	}
}

// A permit that was renewed ends as well (T15).
func TestT15ARenewedPermitIsJudgedWhenItEnds(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	var asked atomic.Int32
	cut := make(chan error, 1)
	request := newRunning(func(bool) (time.Time, error) {
		if asked.Add(1) < 3 {
			return time.Now(), nil
		}
		panic("a score that cannot be had")
	}, func(err error) { cut <- err })
	request.until(guard, time.Now(), 0)
	select {
	case err := <-cut:
		if asked.Load() != 3 || !strings.Contains(err.Error(), "panicked") {
			t.Error(asked.Load(), err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it runs on")
	}
}

// Who is told may panic, and that ends neither the process nor the telling: a permit that ends is told of where nobody would catch it.
func TestT15WhoIsToldOfAnEndMayPanic(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	told := make(chan error, 10)
	config.OnDenial = func(err error) {
		told <- err
		panic("a log that cannot be written")
	}
	guard := a.guard(config)
	ending := func() *running {
		return newRunning(func(bool) (time.Time, error) { return time.Time{}, NoActionPermitted }, func(error) {})
	}
	ending().until(guard, time.Now(), 0)
	for range 3 {
		guard.start(ending())
	}
	if err := guard.Swap([]byte(policy)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		select {
		case err := <-told:
			if !errors.Is(err, NoActionPermitted) {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	// The caller is answered all the same.
	if status, _ := served(guard, a.request(a.issue(id("router")), "DELETE", "/v1/who")); status != 403 {
		t.Error(status)
	}
}

// What a change leaves permitted ends when the permit that it then got does, and not when the old one would have.
func TestLaw8ARequestThatIsJudgedAgainHasItsNewEnd(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	for name, before := range map[string]time.Time{"an hour": time.Now().Add(time.Hour), "no end": {}} {
		var asked atomic.Int32
		cut := make(chan error, 1)
		request := newRunning(func(bool) (time.Time, error) {
			if asked.Add(1) == 1 {
				return time.Now(), nil
			}
			return time.Time{}, NoActionPermitted
		}, func(err error) { cut <- err })
		guard.start(request)
		request.until(guard, before, 0)
		if err := guard.Swap([]byte(policy)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-cut:
			if !errors.Is(err, NoActionPermitted) {
				t.Error(name, err)
			}
		case <-time.After(10 * time.Second):
			t.Error(name, "it runs on to its old end")
		}
		guard.end(request)
	}
}

// Of a request that was cut nothing further is asked, and whoever still answers for it is told so.
func TestLaw8ACutRequestIsNotJudged(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	var asked atomic.Int32
	denials := make(chan error, 10)
	config.OnDenial = func(err error) { denials <- err }
	told := make(chan error, 1)
	config.TrustScore = func(r *http.Request, _ Peer) int {
		if asked.Add(1) > 1 {
			<-r.Context().Done()
			told <- context.Cause(r.Context())
		}
		return 80
	}
	guard := a.guard(config)
	ctx, end, err := guard.Begin(a.request(a.issue(id("router")), "GET", "/v1/who"))
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for range 3 {
		if err := guard.Swap(append(config.Policy, '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-told; !errors.Is(err, ErrSystem) || !errors.Is(context.Cause(ctx), ErrSystem) {
		t.Error(err, context.Cause(ctx))
	}
	// The late judgement ends before whatever it would have recorded.
	for request := range guard.running {
		request.turn <- struct{}{}
		<-request.turn
	}
	if asked.Load() != 2 {
		t.Error("asked", asked.Load(), "times")
	}
	// Law 6: that it was cut, and for what it was asked.
	of := records(t, config.AuditFile, "action")
	if len(of) != 2 || of[0].Verdict != "permit" || of[1].Reason != "authorizer_failed" || of[1].Action != "GET /v1/who" {
		t.Error(of)
	}
	denial := &Denial{}
	if err := <-denials; !errors.As(err, &denial) || denial.Decision() != of[1].ID || len(denials) != 0 {
		t.Error(err, of)
	}
}

// Who begins while something changes, and is cut for it, is told of once.
func TestLaw6ADenialIsToldOnce(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
	denials := make(chan error, 10)
	config.OnDenial = func(err error) { denials <- err }
	var guard *Guard
	var asked atomic.Int32
	swapped := make(chan error, 1)
	config.TrustScore = func(r *http.Request, _ Peer) int {
		switch asked.Add(1) {
		case 1:
			// It has to be judged again before it is served.
			if err := guard.Swap(append(config.Policy, '\n')); err != nil {
				t.Error(err)
			}
		case 2:
			go func() { swapped <- guard.Swap(append(config.Policy, '\n')) }()
			<-r.Context().Done()
		}
		return 80
	}
	guard = a.guard(config)
	if _, _, err := guard.Begin(a.request(a.issue(id("router")), "GET", "/v1/who")); !errors.Is(err, ErrSystem) {
		t.Error(err)
	}
	if err := <-swapped; err != nil {
		t.Fatal(err)
	}
	if len(denials) != 1 || !errors.Is(<-denials, errJudgedLate) {
		t.Error("told", len(denials), "times")
	}
}

// A timer sleeps with the machine, and a clock may be set: what counts is the wall clock.
func TestT23AnEndIsThatOfTheWallClock(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	rang := make(chan struct{})
	ringAt(now().Add(time.Hour), now, 0, func() { close(rang) })
	stopped := ringAt(now().Add(time.Hour), now, 0, func() { t.Error("it was stopped") })
	ahead.Store(int64(2 * time.Hour))
	stopped.stop()
	select {
	case <-rang:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the monotonic clock")
	}
}

// T34: nobody is asked for a score that no rule reads.
func TestT34AScoreIsAskedForWhereARuleReadsIt(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	var asked atomic.Int32
	config.TrustScore = func(*http.Request, Peer) int { asked.Add(1); return 80 }
	guard := a.guard(config)
	router := a.issue(id("router"))
	if status, _ := served(guard, a.request(router, "GET", "/v1/who")); status != 200 || asked.Load() != 0 {
		t.Error(status, asked.Load())
	}
	if err := guard.Swap([]byte(policy + "[permit.require]\ntrust_score = 70\n")); err != nil {
		t.Fatal(err)
	}
	if status, _ := served(guard, a.request(router, "GET", "/v1/who")); status != 200 || asked.Load() != 1 {
		t.Error(status, asked.Load())
	}
}

// T27: what cannot be a workload is not even looked up, and what nobody answered for is not remembered.
func TestT27NothingIsDialledThatIsNoWorkload(t *testing.T) {
	a := newAuthority(t)
	config := a.config("router")
	var resolved atomic.Int32
	config.Resolve = func(context.Context, string, uint16) (string, error) {
		resolved.Add(1)
		return "", errors.New("nobody knows it")
	}
	transport := a.guard(config).Transport()
	ask := func(at string) error {
		_, err := transport.RoundTrip(must[*http.Request](t)(http.NewRequest("GET", at, nil)))
		return err
	}
	for _, at := range []string{
		"https://169.254.169.254:80/", "https://data.attacker.example/", "https://[::1]:8443/", "https://Model-Server/",
		"https://a_b/", "https://" + strings.Repeat("a", 65) + "/",
	} {
		if err := ask(at); !errors.Is(err, ErrArgument) || resolved.Load() != 0 {
			t.Error(at, err, resolved.Load())
		}
	}
	for i := range 10 {
		if err := ask(fmt.Sprintf("https://random-%d/", i)); err == nil {
			t.Error("answered")
		}
	}
	if len(transport.known) != 0 || resolved.Load() != 10 {
		t.Error(len(transport.known), resolved.Load())
	}
}

func TestAScoreThatDoesNotFitIsNone(t *testing.T) {
	for given, want := range map[int]int32{
		-1: -1, 0: 0, 100: 100, 101: 101, -2: 101, math.MinInt: 101, math.MaxInt: 101, 1<<32 + 100: 101, math.MinInt + 100: 101,
	} {
		if got := score(given); got != want {
			t.Error(given, got)
		}
	}
}

// A connection that was proved by other authorities than those in force carries no further request, idle or not.
func TestT5CallsLeaveConnectionsOfOtherAuthorities(t *testing.T) {
	w := newWorld(t)
	config := w.config("router")
	var dials atomic.Int32
	config.Resolve = func(context.Context, string, uint16) (string, error) {
		dials.Add(1)
		return w.addr(), nil
	}
	guard := w.authority.guard(config)
	client := guard.Client()
	// Holds its HTTP/2 connection, so that it is never idle.
	live, err := client.Get("https://model-server:8443/v1/live")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Body.Close()
	ask := func() {
		t.Helper()
		response, err := client.Get("https://model-server:8443/v1/who")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	ask()
	if dials.Load() != 1 {
		t.Fatal("dialled", dials.Load())
	}
	other := newAuthority(t)
	if err := guard.Trust("prod.example", append(append([]byte{}, other.pem...), w.pem...)); err != nil {
		t.Fatal(err)
	}
	ask()
	if dials.Load() != 2 {
		t.Error("a connection that was proved by the old authorities was used; dialled", dials.Load())
	}
	if err := guard.Trust("prod.example", other.pem); err != nil {
		t.Fatal(err)
	}
	if response, err := client.Get("https://model-server:8443/v1/who"); !errors.Is(err, IdentityUnproven) {
		t.Error(response, err)
	}
}

// request is one as net/http hands it over.
func (a *authority) request(leaf tls.Certificate, method, target string) *http.Request {
	request := must[*http.Request](a.t)(http.NewRequest(method, "https://model-server"+target, nil))
	parsed := must[*x509.Certificate](a.t)(x509.ParseCertificate(leaf.Certificate[0]))
	request.RequestURI, request.RemoteAddr = target, "10.0.0.1:1"
	request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{parsed}}
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	return request.WithContext(context.WithValue(request.Context(), http.LocalAddrContextKey, net.Addr(local)))
}
