package ztl

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// without is the policy, in which the flow is permitted still, and this action no more.
var without = strings.Replace(policy, `, "GET /v1/who"`, "", 1)

// speaking is a world whose server speaks this alone.
func speaking(t *testing.T, protocol string, handler http.HandlerFunc) *world {
	a := newAuthority(t)
	w := &world{authority: a, guard: a.guard(a.config("model-server")), served: make(chan string, 1000)}
	w.server = httptest.NewUnstartedServer(w.guard.Middleware(handler))
	w.server.EnableHTTP2 = protocol == "h2"
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.TLS = w.guard.TLSConfig()
	w.server.TLS.NextProtos = []string{protocol}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

// A request is judged by what is in force when it has its connection: a dial may take its time, and a look-up that the host does.
func TestLaw8ARequestThatWaitedForItsConnectionIsJudgedAgain(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		for name, one := range map[string]struct {
			policy string
			want   error
		}{
			"the action is gone": {without, NoActionPermitted},
			"nothing is gone":    {policy + "\n", nil},
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				var w *world
				w = speaking(t, protocol, func(out http.ResponseWriter, r *http.Request) { w.served <- r.Proto })
				config := w.config("router")
				var dials atomic.Int32
				var guard *Guard
				config.Resolve = func(ctx context.Context, _ string, _ uint16) (string, error) {
					if _, ends := ctx.Deadline(); !ends {
						t.Error("a look-up has no end")
					}
					if dials.Add(1) == 2 {
						if err := guard.Swap([]byte(one.policy)); err != nil {
							t.Error(err)
						}
					}
					return w.addr(), nil
				}
				guard = w.authority.guard(config)
				client := guard.Client()
				who := func() error {
					response, err := client.Get("https://model-server:8443/v1/who")
					if err == nil {
						_ = response.Body.Close()
					}
					return err
				}
				if err := who(); err != nil {
					t.Fatal(err)
				}
				<-w.served
				client.CloseIdleConnections()
				if err := who(); !errors.Is(err, one.want) {
					t.Error(err)
				}
				if was := len(w.served) != 0; was != (one.want == nil) || dials.Load() < 2 {
					t.Error("served:", was, "after", dials.Load(), "dials")
				}
			})
		}
	}
}

// Over HTTP/1.1 it may get a connection that another request held, while its own is dialled.
func TestLaw8ARequestThatGetsTheConnectionOfAnotherIsJudgedAgain(t *testing.T) {
	ends, asked := make(chan struct{}), make(chan struct{})
	var w *world
	w = speaking(t, "http/1.1", func(out http.ResponseWriter, r *http.Request) {
		w.served <- r.URL.Path
		out.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(out).Flush()
		if r.URL.Path == "/v1/live" {
			<-ends
		}
	})
	config := w.config("router")
	var dials atomic.Int32
	var guard *Guard
	var live *http.Response
	config.Resolve = func(context.Context, string, uint16) (string, error) {
		if dials.Add(1) == 2 {
			if err := guard.Swap([]byte(without)); err != nil {
				t.Error(err)
			}
			close(ends)
			_, _ = io.Copy(io.Discard, live.Body)
			_ = live.Body.Close()
			select {
			case <-asked:
			case <-time.After(10 * time.Second):
				t.Error("it waits for the dial")
			}
		}
		return w.addr(), nil
	}
	guard = w.authority.guard(config)
	client := guard.Client()
	live = must[*http.Response](t)(client.Get("https://model-server:8443/v1/live"))
	response, err := client.Get("https://model-server:8443/v1/who")
	close(asked)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, NoActionPermitted) {
		t.Error(err)
	}
	if <-w.served; len(w.served) != 0 {
		t.Error("served", <-w.served)
	}
}

// net/http looks for another connection where one is closed, and would for ever.
func TestLaw8ForWhatIsRefusedNothingIsDialled(t *testing.T) {
	a := newAuthority(t)
	config := a.config("router")
	config.Resolve = func(context.Context, string, uint16) (string, error) {
		t.Error("looked up")
		return "", errors.New("nobody knows it")
	}
	var why error = NoActionPermitted
	out := &sending{}
	out.refused.Store(&why)
	conn, err := a.guard(config).Transport().dialTLS(out.under(t.Context()), "tcp", "model-server:8443")
	if conn != nil || err != why {
		t.Error(conn, err)
	}
}
