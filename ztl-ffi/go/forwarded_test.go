package ztl

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
