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
	request := &running{
		again: func() (time.Time, error) { return time.Time{}, denied },
		stop:  func(error) { stopped.Add(1) },
	}
	if !request.cut(denied) || request.cut(denied) {
		t.Error("it is cut once")
	}
	served := &running{again: request.again, stop: request.stop}
	served.end()
	if served.cut(denied) || stopped.Load() != 1 {
		t.Error("it was cut after its end")
	}
}

// A permit that was renewed ends as well (T15).
func TestT15ARenewedPermitIsJudgedWhenItEnds(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	var asked atomic.Int32
	cut := make(chan error, 1)
	request := &running{stop: func(err error) { cut <- err }}
	request.again = func() (time.Time, error) {
		if asked.Add(1) < 3 {
			return time.Now(), nil
		}
		panic("a score that cannot be had")
	}
	request.until(guard, time.Now())
	select {
	case err := <-cut:
		if asked.Load() != 3 || !strings.Contains(err.Error(), "panicked") {
			t.Error(asked.Load(), err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it runs on")
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
