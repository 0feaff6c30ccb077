package ztl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const behindFront = `
schema = 1
trust_domain = "prod.example"

[workloads.front]
id = "spiffe://prod.example/front"
forwards = ["router", "stranger"]
forwards_in = "xfcc"
[workloads.router]
id = "spiffe://prod.example/router"
[workloads.stranger]
id = "spiffe://prod.example/stranger"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [8443]
hosts = ["models.example"]

[[permit]]
from = ["front", "router"]
to = "model-server"
actions = ["GET /v1/who"]

[[forbid]]
from = "stranger"
to = "model-server"
`

// served asks a guard as net/http would, and gives what the handler saw.
func served(guard *Guard, request *http.Request) (int, *http.Request) {
	var seen *http.Request
	recorder := &recorder{header: http.Header{}}
	guard.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.WriteHeader(200)
	})).ServeHTTP(recorder, request)
	return recorder.status, seen
}

func TestT12AForbiddenCallerDoesNotComeInBehindAProxy(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(behindFront)
	guard := a.guard(config)
	by := func(who string) string { return "By=" + id("front") + ";URI=" + id(who) }
	for name, one := range map[string]struct {
		from, xfcc string
		want       int
		kept       bool
	}{
		"for itself":         {"front", "", 200, false},
		"for the router":     {"front", by("router"), 200, true},
		"for the forbidden":  {"front", by("stranger"), 403, false},
		"for the unknown":    {"front", by("nobody"), 403, false},
		"by somebody else":   {"front", "By=" + id("router") + ";URI=" + id("router"), 403, false},
		"unreadable":         {"front", `"`, 403, false},
		"as the proxy would": {"router", by("router"), 200, false},
	} {
		request := a.request(a.issue(id(one.from)), "GET", "/v1/who")
		request.Host = "models.example"
		request.Header.Set("Forwarded", `spiffe="`+id("router")+`"`)
		if one.xfcc != "" {
			request.Header.Set("X-Forwarded-Client-Cert", one.xfcc)
		}
		status, seen := served(guard, request)
		if status != one.want {
			t.Error(name, "was answered", status)
		}
		if seen == nil {
			continue
		}
		if kept := seen.Header.Get("X-Forwarded-Client-Cert") != ""; kept != one.kept {
			t.Error(name, "the handler saw", seen.Header)
		}
		if seen.Header.Get("Forwarded") != "" {
			t.Error(name, "the handler saw", seen.Header)
		}
	}
}

// Whose score it is nobody says who is not trusted with it, when the request comes and while it runs.
func TestT12AScoreIsAskedForWithoutWhatNobodyIsTrustedToSay(t *testing.T) {
	a := newAuthority(t)
	for name, kept := range map[string]bool{"front": true, "router": false} {
		config := a.config("model-server")
		scored := strings.Replace(behindFront, `actions = ["GET /v1/who"]`, "actions = [\"GET /v1/who\"]\nrequire = { trust_score = 70 }", 1)
		config.Policy = []byte(scored)
		var shown []http.Header
		config.TrustScore = func(r *http.Request, _ Peer) int {
			shown = append(shown, r.Header)
			return 80
		}
		guard := a.guard(config)
		request := a.request(a.issue(id(name)), "GET", "/v1/who")
		request.Host = "models.example"
		xfcc := "By=" + id("front") + ";URI=" + id("router")
		request.Header = http.Header{
			"Forwarded": {"for=_x"}, "X-Forwarded-Client-Cert": {xfcc}, "X_forwarded_client_cert": {xfcc}, "X-Purpose": {"answer"},
		}
		_, end, err := guard.Begin(request)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := guard.Swap([]byte(scored + "\n")); err != nil {
			t.Fatal(err)
		}
		end()
		want := http.Header{"X-Purpose": {"answer"}}
		if kept {
			want["X-Forwarded-Client-Cert"] = []string{xfcc}
		}
		if len(shown) != 2 || !reflect.DeepEqual(shown[0], want) || !reflect.DeepEqual(shown[1], want) {
			t.Error(name, "showed", shown)
		}
	}
}

// A request that runs for somebody else is cut where that is not read any more in the field in which it was, or is now.
func TestT12WhoIsSpokenForIsWhoIsJudgedAgain(t *testing.T) {
	a := newAuthority(t)
	const said = "forwards_in = \"xfcc\"\n"
	silent := strings.Replace(strings.Replace(behindFront, said, "", 1), "forwards = [\"router\", \"stranger\"]\n", "", 1)
	forbids := strings.Replace(silent, "from = \"stranger\"", "from = [\"stranger\", \"router\"]", 1)
	for name, one := range map[string]struct {
		first, then string
		xfcc        bool
		want        error
	}{
		"no longer read":         {behindFront, silent, true, ForwardedUntrusted},
		"not read and forbidden": {behindFront, forbids, true, ForwardedUntrusted},
		"read by now":            {silent, behindFront, true, ForwardedUntrusted},
		"read as before":         {behindFront, behindFront + "\n", true, nil},
		"for itself":             {behindFront, silent, false, nil},
	} {
		config := a.config("model-server")
		config.Policy, config.AuditFile = []byte(one.first), filepath.Join(t.TempDir(), "audit.jsonl")
		guard := a.guard(config)
		request := a.request(a.issue(id("front")), "GET", "/v1/who")
		request.Host = "models.example"
		if one.xfcc {
			request.Header.Set("X-Forwarded-Client-Cert", "By="+id("front")+";URI="+id("router"))
		}
		ctx, end, err := guard.Begin(request)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := guard.Swap([]byte(one.then)); err != nil {
			t.Fatal(name, err)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, one.want) {
			t.Error(name, "ended with", cause)
		}
		of := records(t, config.AuditFile, "action")
		if reason := of[len(of)-1].Reason; len(of) != 2 || (reason == "forwarded_untrusted") != (one.want != nil) {
			t.Error(name, of)
		}
		end()
	}
}

// Whatever comes in while a request is judged: what a handler sees of whom it is for is what was judged.
func TestT12WhatAHandlerSeesWasJudged(t *testing.T) {
	a := newAuthority(t)
	const said = "forwards_in = \"xfcc\"\n"
	silent := strings.Replace(strings.Replace(behindFront, said, "", 1), "forwards = [\"router\", \"stranger\"]\n", "", 1)
	front, statuses := a.issue(id("front")), map[int]int{}
	for swaps := range 8 {
		config := a.config("model-server")
		config.Policy = []byte(silent)
		var guard *Guard
		var asked atomic.Int32
		config.Now = func() time.Time {
			// Past the guard, so that nothing but the judgement itself can find it out.
			if guard != nil && int(asked.Add(1)) == swaps {
				if err := guard.engine.swap([]byte(behindFront), TOML); err != nil {
					t.Error(err)
				}
			}
			return time.Now()
		}
		guard = a.guard(config)
		request := a.request(front, "GET", "/v1/who")
		request.Host = "models.example"
		request.Header.Set("X-Forwarded-Client-Cert", "By="+id("front")+";URI="+id("stranger"))
		status, seen := served(guard, request)
		statuses[status]++
		if seen != nil && seen.Header.Get("X-Forwarded-Client-Cert") != "" {
			t.Error("a handler saw whom nobody judged, with a change at", swaps)
		}
	}
	if statuses[200] == 0 || statuses[403] == 0 {
		t.Error(statuses)
	}
	// The other way round, between what the guard asks about the policy and what the policy says of the request.
	scored := func(policy string) []byte {
		const actions = "actions = [\"GET /v1/who\"]\n"
		return []byte(strings.Replace(policy, actions, actions+"require = { trust_score = 70 }\n", 1))
	}
	config := a.config("model-server")
	config.Policy = scored(behindFront)
	var guard *Guard
	var asked atomic.Int32
	config.TrustScore = func(*http.Request, Peer) int {
		if asked.Add(1) == 1 {
			if err := guard.engine.swap(scored(silent), TOML); err != nil {
				t.Error(err)
			}
		}
		return 80
	}
	guard = a.guard(config)
	request := a.request(front, "GET", "/v1/who")
	request.Host = "models.example"
	request.Header.Set("X-Forwarded-Client-Cert", "By="+id("front")+";URI="+id("router"))
	if status, seen := served(guard, request); status != 200 || asked.Load() != 2 || seen.Header.Get("X-Forwarded-Client-Cert") != "" {
		t.Error(status, asked.Load(), seen)
	}
}

// passedOver are fields in which nobody was trusted to pass an id on.
func passedOver(header http.Header) []string {
	return append(header["X-Forwarded-Client-Cert"], header["X_forwarded_client_cert"]...)
}

// T12: who is no proxy says of nobody on whose behalf it calls.
func TestT12CallsPassOnWhatThePolicyTrustsUsWith(t *testing.T) {
	a := newAuthority(t)
	trusted := strings.Replace(policy, "id = \"spiffe://prod.example/router\"\n",
		"id = \"spiffe://prod.example/router\"\nforwards = \"stranger\"\nforwards_in = \"forwarded\"\n", 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Forwarded", "X-Forwarded-Client-Cert", "X_forwarded_client_cert", "X-Tenant"} {
			if r.Header.Get(name) != "" {
				fmt.Fprint(w, name, " ")
			}
		}
	}))
	server.TLS = a.guard(a.config("model-server")).TLSConfig()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	for name, one := range map[string]struct{ policy, want string }{
		"nobody's proxy": {policy, "X-Tenant "}, "a proxy": {trusted, "Forwarded X-Tenant "},
	} {
		config := a.config("router")
		config.Policy = []byte(one.policy)
		config.Resolve = func(context.Context, string, uint16) (string, error) { return address, nil }
		guard := a.guard(config)
		request := must[*http.Request](t)(http.NewRequest("GET", "https://model-server:8443/v1/who", nil))
		header := http.Header{
			"Forwarded": {"for=_x"}, "X-Forwarded-Client-Cert": {"URI=" + id("admin")}, "X_forwarded_client_cert": {"x"}, "X-Tenant": {"blue"},
		}
		request.Header = header.Clone()
		response := must[*http.Response](t)(guard.Client().Do(request))
		seen := string(must[[]byte](t)(io.ReadAll(response.Body)))
		_ = response.Body.Close()
		if seen != one.want {
			t.Error(name, "sent", seen)
		}
		if len(request.Header) != len(header) {
			t.Error("a RoundTripper changed its request")
		}
		plain := must[net.Conn](t)(net.Dial("tcp", address))
		call := must[*Call](t)(guard.Call(t.Context(), plain, "model-server", 8443))
		defer call.Conn.Close()
		if err := call.Authorize(t.Context(), "GET", "/v1/who", header); err != nil {
			t.Error(name, err)
		}
		if len(passedOver(header)) != 0 || (header.Get("Forwarded") != "") != (one.policy == trusted) {
			t.Error(name, "would send", header)
		}
	}
}

func TestT21ARequestForAnotherHostIsMisdirected(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(behindFront)
	guard := a.guard(config)
	router := a.issue(id("router"))
	for name, one := range map[string]struct {
		host, field string
		want        int
	}{
		"listed": {"models.example:8443", "", 200}, "own name": {"model-server", "", 200}, "another": {"evil.example", "", 421},
		"none": {"", "", 421}, "both": {"models.example", "models.example", 200}, "two": {"models.example", "evil.example", 400},
	} {
		request := a.request(router, "GET", "/v1/who")
		request.Host = one.host
		if one.field != "" {
			// As net/http leaves it over HTTP/2.
			request.Header["Host"] = []string{one.field}
		}
		if status, _ := served(guard, request); status != one.want {
			t.Error(name, "was answered", status)
		}
	}
	w := newWorldOf(a, config)
	ask := func(host string) string {
		return w.raw(router, "GET /v1/who HTTP/1.1\r\nConnection: close\r\nHost: "+host+"\r\n\r\n")
	}
	if line := ask("models.example"); !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Error(line)
	}
	if line := ask("evil.example"); !strings.HasPrefix(line, "HTTP/1.1 421") {
		t.Error(line)
	}
}

func TestT6APolicyThatOthersMayWriteIsRefused(t *testing.T) {
	a := newAuthority(t)
	file := filepath.Join(t.TempDir(), "policy.toml")
	config := a.config("model-server")
	config.Policy, config.PolicyFile = nil, file
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(policy, 0o666)
	if guard, err := NewGuard(config); guard != nil || !errors.Is(err, ErrPolicy) {
		t.Fatal(err)
	}
	write(policy, 0o644)
	guard := a.guard(config)
	router := a.issue(id("router"))
	ask := func() int {
		status, _ := served(guard, a.request(router, "GET", "/v1/who"))
		return status
	}
	if got := ask(); got != 200 {
		t.Fatal(got)
	}
	without, _, _ := strings.Cut(policy, "[[permit]]")
	write(without, 0o664)
	if err := guard.Reload(); !errors.Is(err, ErrPolicy) || ask() != 200 {
		t.Fatal(err)
	}
	write(without, 0o644)
	if err := guard.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 403 {
		t.Fatal(got)
	}
}

// T27: the token that a request came in with is not handed on, unless the transport is told to; another is.
func TestT27AnInboundAuthorizationIsNotHandedOn(t *testing.T) {
	a := newAuthority(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["Authorization"])
	}))
	server.TLS = a.guard(a.config("model-server")).TLSConfig()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	config := a.config("router")
	config.Resolve = func(context.Context, string, uint16) (string, error) { return server.Listener.Addr().String(), nil }
	router := a.guard(config)
	transport := router.Transport()
	handed := a.guard(config).Transport()
	handed.PassOnAuthorization = true
	w := newWorldOfHandler(a, a.config("model-server"), func(out http.ResponseWriter, r *http.Request) {
		sent := must[*http.Request](t)(http.NewRequestWithContext(r.Context(), "GET", "https://model-server:8443/v1/who", nil))
		through, field := http.RoundTripper(transport), "Authorization"
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		token = strings.TrimSpace(token)
		value := r.Header.Get("Authorization")
		switch r.URL.Query().Get("how") {
		case "own":
			value = "Bearer of-the-service"
		case "opted":
			through = handed
		case "rebuilt":
			value = "Bearer " + token
		case "bare":
			value = token
		case "spaced":
			value = " bearer \t " + token + " "
		case "small":
			field, value = "authorization", "BEARER "+token
		case "both":
			sent.Header["authorization"] = []string{"Bearer " + token}
			value = "Bearer of-the-service"
		}
		sent.Header[field] = []string{value}
		if how := r.URL.Query().Get("how"); strings.HasPrefix(how, "call") {
			plain := must[net.Conn](t)(net.Dial("tcp", server.Listener.Addr().String()))
			call := must[*Call](t)(router.Call(r.Context(), plain, "model-server", 8443))
			defer call.Conn.Close()
			call.PassOnAuthorization = how == "call opted"
			if err := call.Authorize(r.Context(), "GET", "/v1/who", sent.Header); err != nil {
				t.Error(err)
			}
			fmt.Fprint(out, sent.Header[field])
			return
		}
		response := must[*http.Response](t)(through.RoundTrip(sent))
		defer response.Body.Close()
		_, _ = io.Copy(out, response.Body)
	})
	client := w.client(a.issue(id("router")))
	for how, want := range map[string]string{
		"": "[]", "own": "[Bearer of-the-service]", "opted": "[bearer  of-the-user]", "rebuilt": "[]", "bare": "[]", "spaced": "[]",
		"small": "[]", "both": "[Bearer of-the-service]", "call": "[]", "call opted": "[bearer  of-the-user]",
	} {
		request := must[*http.Request](t)(http.NewRequest("GET", "https://"+w.addr()+"/v1/who?how="+url.QueryEscape(how), nil))
		request.Header.Set("Authorization", "bearer  of-the-user")
		response := must[*http.Response](t)(client.Do(request))
		seen := string(must[[]byte](t)(io.ReadAll(response.Body)))
		_ = response.Body.Close()
		if seen != want {
			t.Errorf("%q: sent %s, want %s", how, seen, want)
		}
	}
}
