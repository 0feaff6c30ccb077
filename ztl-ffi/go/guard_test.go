package ztl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheRouterIsServedAndNothingElseIs(t *testing.T) {
	w := newWorld(t)
	router := w.client(w.issue(id("router")))
	for range 3 {
		status, body, err := w.ask(router, "POST", "/v1/models/llama/infer?stream=1")
		if err != nil || status != 200 || body != id("router") {
			t.Fatal(status, body, err)
		}
	}
	for _, attempt := range []string{
		"POST /v1/models/llama/tune", "GET /v1/models/llama/infer", "DELETE /v1/models/llama/infer", "GET /", "POST /v1/models/a/b/infer",
	} {
		method, target, _ := strings.Cut(attempt, " ")
		status, body, err := w.ask(router, method, target)
		if err != nil || status != 403 || !strings.Contains(body, `"status":403,"decision":"`) {
			t.Fatal(attempt, status, body, err)
		}
		if strings.Contains(body, "rule") || strings.Contains(body, "router") {
			t.Fatal("a denial tells the caller more than an id:", body)
		}
	}
	if served := len(w.served); served != 3 {
		t.Fatal("the handler saw", served)
	}
}

func TestT3WhoProvesNothingGetsNoConnection(t *testing.T) {
	var mu sync.Mutex
	var denied []error
	a := newAuthority(t)
	config := a.config("model-server")
	config.OnDenial = func(err error) { mu.Lock(); denied = append(denied, err); mu.Unlock() }
	w := newWorldOf(a, config)
	forger := newAuthority(t)
	for name, certificates := range map[string][]tls.Certificate{
		"none":         nil,
		"stranger":     {w.issue(id("stranger"))},
		"undeclared":   {w.issue(id("nobody"))},
		"forged":       {forger.issue(id("router"))},
		"no id":        {w.issue("")},
		"other domain": {w.issue("spiffe://other.example/router")},
		"expired":      {w.issueFor(id("router"), -time.Minute)},
	} {
		if status, _, err := w.ask(w.client(certificates...), "POST", "/v1/models/llama/infer"); err == nil {
			t.Error(name, "was answered", status)
		}
	}
	if len(w.served) != 0 {
		t.Error("the handler was reached")
	}
	mu.Lock()
	defer mu.Unlock()
	reasons := map[Reason]int{}
	for _, err := range denied {
		var denial *Denial
		if !errors.As(err, &denial) || !errors.Is(err, ErrDenied) || !errors.Is(err, denial.Reason) {
			t.Error("no denial:", err)
			continue
		}
		reasons[denial.Reason]++
	}
	// Who shows no certificate is refused by TLS itself.
	if reasons[NoFlowPermitted] != 2 || reasons[IdentityExpired] != 1 || reasons[IdentityUnproven] != 3 {
		t.Error(reasons)
	}
}

func TestT9TheRawTargetIsJudged(t *testing.T) {
	w := newWorld(t)
	router := w.issue(id("router"))
	host := "\r\nHost: model-server\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for target, want := range map[string]string{
		"/v1/models/llama/infer":             "200",
		"/v1/models/x/../llama/infer":        "4",
		"/v1/models/%2e%2e/infer":            "4",
		"/v1/models/a%2fb/infer":             "4",
		"//v1/models/llama/infer":            "4",
		"/v1/models/llama/infer/":            "4",
		"/v1/models/llama/%69nfer%00":        "4",
		"/v1/models/llama;x=1/infer":         "",
		"http://elsewhere/v1/models/a/tune":  "4",
		"/v1/models/llama/infer#/../../tune": "4",
	} {
		line := w.raw(router, "POST "+target+" HTTP/1.1"+host)
		if !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Error(target, "was answered", line)
		}
	}
}

// net/http would answer it itself, past every handler.
func TestT1OptionsOfTheWholeServerAreJudged(t *testing.T) {
	w := newWorld(t)
	line := w.raw(w.issue(id("router")), "OPTIONS * HTTP/1.1\r\nHost: model-server\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Error(line)
	}
}

func TestT19ARequestThatWasChangedBeforeIsDenied(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	var denied error
	config.OnDenial = func(err error) { denied = err }
	guard := a.guard(config)
	router := a.issue(id("router"))
	if status, _ := served(guard, a.request(router, "POST", "/v1/models/llama/infer")); status != 200 {
		t.Fatal(status)
	}
	for name, change := range map[string]func(*http.Request){
		"another path":  func(r *http.Request) { r.URL.Path = "/v1/models/llama/tune" },
		"another query": func(r *http.Request) { r.URL.RawQuery = "a=1" },
		"no target":     func(r *http.Request) { r.RequestURI = "" },
	} {
		request := a.request(router, "POST", "/v1/models/llama/infer")
		change(request)
		status, seen := served(guard, request)
		// Law 6: whose it was is known, so that it is recorded.
		denial := &Denial{}
		if status != 403 || seen != nil || !errors.Is(denied, RawTargetUnavailable) || !errors.As(denied, &denial) {
			t.Error(name, "was answered", status, denied)
			continue
		}
		of := records(t, config.AuditFile, "action")
		if last := of[len(of)-1]; last.ID != denial.Decision() || last.Reason != "path_ambiguous" || last.Peer != id("router") {
			t.Error(name, last, denial)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"no TLS":         func(r *http.Request) { r.TLS = nil },
		"no certificate": func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
	} {
		request := a.request(router, "POST", "/v1/models/llama/infer")
		change(request)
		before := records(t, config.AuditFile, "identity")
		if status, seen := served(guard, request); status != 403 || seen != nil || !errors.Is(denied, IdentityUnproven) {
			t.Error(name, "was answered", status, denied)
		}
		// Law 6: of whom nothing is known but where it called from.
		of := records(t, config.AuditFile, "identity")
		if len(of) != len(before)+1 || of[len(before)].Reason != "identity_unproven" || of[len(before)].Peer != "" {
			t.Error(name, of)
		}
	}
}

// Law 6: what a proved caller is denied for has a record, whoever denies it.
func TestLaw6WhatTheGuardDeniesItselfIsRecorded(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	var score func() int
	config.TrustScore = func(*http.Request, Peer) int { return score() }
	guard := a.guard(config)
	router := a.issue(id("router"))
	// One more than the library looks at, with the host.
	fields := http.Header{"X": make([]string, 65_536)}
	upgrade := http.Header{"Upgrade": {"websocket"}, "Connection": {"keep-alive, Upgrade"}}
	for name, one := range map[string]struct {
		score  func() int
		header http.Header
		status int
		reason string
	}{
		"a panic":         {func() int { panic("a score that cannot be had") }, nil, 403, "authorizer_failed"},
		"of an upgrade":   {func() int { panic("a score that cannot be had") }, upgrade, 403, "authorizer_failed"},
		"no score":        {func() int { return 101 }, nil, 403, "authorizer_failed"},
		"too many fields": {func() int { return 80 }, fields, 400, "path_ambiguous"},
		"none of them":    {func() int { return 80 }, nil, 200, "permitted"},
	} {
		score = one.score
		request := a.request(router, "GET", "/v1/who")
		if one.header != nil {
			request.Header = one.header
		}
		if status, _ := served(guard, request); status != one.status {
			t.Error(name, "was answered", status)
		}
		of := records(t, config.AuditFile, "action")
		asked := "GET /v1/who"
		if one.header.Get("Upgrade") != "" {
			asked = "websocket /v1/who"
		}
		if last := of[len(of)-1]; last.Reason != one.reason || last.Peer != id("router") || last.Action != asked {
			t.Error(name, last)
		}
	}
	if of := records(t, config.AuditFile, "action"); len(of) != 5 {
		t.Error(of)
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header             { return r.header }
func (r *recorder) Write(bytes []byte) (int, error) { return len(bytes), nil }
func (r *recorder) WriteHeader(status int)          { r.status = status }

func TestLaw8ASwapCutsWhatRunsAndDeniesWhatComes(t *testing.T) {
	for name, change := range map[string]func(*world) error{
		"policy": func(w *world) error {
			rules, _, _ := strings.Cut(policy, "[[permit]]")
			return w.guard.Swap([]byte(rules))
		},
		"authorities": func(w *world) error { return w.guard.Trust("prod.example", nil) },
		"revocation":  func(w *world) error { return w.guard.SetCRLs("prod.example", w.revocations()) },
		"closed":      func(w *world) error { return w.guard.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			router := w.client(w.issue(id("router")))
			request := must[*http.Request](t)(http.NewRequest("GET", "https://"+w.addr()+"/v1/live", nil))
			response := must[*http.Response](t)(router.Do(request))
			defer response.Body.Close()
			if response.StatusCode != 200 {
				t.Fatal(response.StatusCode)
			}
			begun := time.Now()
			if err := change(w); err != nil {
				t.Fatal(err)
			}
			select {
			case cause := <-w.live:
				if !errors.Is(cause, ErrDenied) && !errors.Is(cause, ErrClosed) {
					t.Error(cause)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the stream lives on")
			}
			if took := time.Since(begun); took > time.Second {
				t.Error("cut after", took)
			}
			if status, _, err := w.ask(router, "GET", "/v1/who"); err == nil && status == 200 {
				t.Error("served after that")
			}
		})
	}
}

func TestTheSamePolicyAndOtherAuthoritiesServeOn(t *testing.T) {
	w := newWorld(t)
	router := w.client(w.issue(id("router")))
	ask := func() {
		t.Helper()
		if status, _, err := w.ask(router, "GET", "/v1/who"); err != nil || status != 200 {
			t.Fatal(status, err)
		}
	}
	ask()
	if err := w.guard.Swap([]byte(policy + "\n")); err != nil {
		t.Fatal(err)
	}
	ask()
	// The peer is proved again from the chain that it showed.
	other := newAuthority(t)
	if err := w.guard.Trust("prod.example", append(append([]byte{}, other.pem...), w.pem...)); err != nil {
		t.Fatal(err)
	}
	ask()
	if err := w.guard.Swap([]byte("allow = 'all'")); !errors.Is(err, ErrPolicy) {
		t.Fatal(err)
	}
	if err := w.guard.Trust("prod.example", []byte("no PEM")); !errors.Is(err, ErrBundle) {
		t.Fatal(err)
	}
	if err := w.guard.SetCRLs("prod.example", []byte("no list")); !errors.Is(err, ErrCRL) {
		t.Fatal(err)
	}
	ask()
}

func TestT22AnothersSVIDMakesNoGuard(t *testing.T) {
	a := newAuthority(t)
	for name, change := range map[string]struct {
		do   func(*Config)
		want error
	}{
		"another's":  {func(c *Config) { c.Certificate = a.issue(id("router")) }, ErrSVID},
		"forged":     {func(c *Config) { c.Certificate = newAuthority(t).issue(id("model-server")) }, ErrSVID},
		"none":       {func(c *Config) { c.Certificate = tls.Certificate{} }, ErrSVID},
		"undeclared": {func(c *Config) { c.Me = "nobody" }, ErrSVID},
		"no bundle":  {func(c *Config) { c.Bundles = nil }, ErrSVID},
		"no policy":  {func(c *Config) { c.Policy = nil }, ErrArgument},
		"no file":    {func(c *Config) { c.Policy, c.PolicyFile = nil, "/nowhere/at/all" }, ErrPolicy},
		"bad audit":  {func(c *Config) { c.AuditFile = "/nowhere/at/all/audit" }, ErrAudit},
	} {
		config := a.config("model-server")
		change.do(&config)
		guard, err := NewGuard(config)
		if guard != nil || !errors.Is(err, change.want) {
			t.Error(name, err)
		}
	}
	guard := a.guard(a.config("model-server"))
	if err := guard.Rotate(a.issue(id("router"))); !errors.Is(err, ErrSVID) {
		t.Error(err)
	}
	if err := guard.Rotate(a.issue(id("model-server"))); err != nil {
		t.Error(err)
	}
}

// A guard that is not made keeps nothing open until the collector comes: a host that tries again would keep an audit file for each time.
func TestAGuardThatIsNotMadeClosesWhatItOpened(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	a := newAuthority(t)
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	open := func() (count int) {
		for _, entry := range must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")) {
			if at, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && at == audit {
				count++
			}
		}
		return count
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says which files are open")
	}
	nonsense := []byte("nonsense")
	for name, spoil := range map[string]func(*Config){
		"a bundle":         func(c *Config) { c.Bundles = map[string][]byte{"prod.example": nonsense} },
		"revocation lists": func(c *Config) { c.CRLs = map[string][]byte{"prod.example": nonsense} },
		"an issuer":        func(c *Config) { c.Issuers = []Issuer{{Name: "sso", JWKS: nonsense}} },
		"an SVID":          func(c *Config) { c.Certificate = a.issue(id("router")) },
	} {
		config := a.config("model-server")
		config.AuditFile = audit
		if spoil(&config); open() != 0 {
			t.Fatal(name, "the file is open before")
		}
		if guard, err := NewGuard(config); err == nil || guard != nil || open() != 0 {
			t.Error(name, "left", open(), "open:", err)
		}
	}
	guard := must[*Guard](t)(NewGuard(func() Config { config := a.config("model-server"); config.AuditFile = audit; return config }()))
	if open() != 1 {
		t.Error("the audit file of a guard is open", open(), "times")
	}
	_ = guard.Close()
}

func TestCallsReachTheWorkloadThatWasNamed(t *testing.T) {
	w := newWorld(t)
	client := w.caller()
	do := func(method, at string) (*http.Response, error) {
		return client.Do(must[*http.Request](t)(http.NewRequest(method, at, nil)))
	}
	for range 3 {
		response, err := do("POST", "https://model-server:8443/v1/models/llama/infer")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 200 {
			t.Fatal(response.StatusCode)
		}
	}
	for range 3 {
		<-w.served
	}
	for at, want := range map[string]error{
		"POST https://model-server:8443/v1/models/llama/tune":      NoActionPermitted,
		"POST https://model-server:8443/v1/models/%2e%2e/infer":    ErrDenied,
		"POST https://model-server:9999/v1/models/llama/infer":     NoFlowPermitted,
		"POST https://stranger:8443/v1/models/llama/infer":         IdentityUnproven,
		"POST http://model-server:8443/v1/models/llama/infer":      ErrArgument,
		"POST https://a:b@model-server:8443/v1/models/llama/infer": ErrArgument,
		"POST https://nobody:8443/v1/models/llama/infer":           IdentityUnproven,
	} {
		method, at, _ := strings.Cut(at, " ")
		response, err := do(method, at)
		if err == nil {
			t.Error(at, "was answered", response.StatusCode)
		} else if !errors.Is(err, want) {
			t.Error(at, err)
		}
	}
	if len(w.served) != 0 {
		t.Error("something was sent that is not permitted:", <-w.served)
	}
}

func TestAnImpostorIsSentNothing(t *testing.T) {
	w := newWorld(t)
	for name, certificate := range map[string]tls.Certificate{
		"forged":  newAuthority(t).issue(id("model-server")),
		"another": w.issue(id("stranger")),
	} {
		listener := must[*tlsListener](t)(listen(certificate))
		config := w.config("router")
		config.Resolve = nil
		config.Resolve = listener.resolve
		client := w.authority.guard(config).Client()
		_, err := client.Get("https://model-server:8443/v1/who")
		if !errors.Is(err, IdentityUnproven) {
			t.Error(name, err)
		}
		if got := <-listener.got; got != 0 {
			t.Error(name, "got", got, "bytes")
		}
	}
}

func TestManyAtOnceWhileThePolicyChangesAndTheGuardCloses(t *testing.T) {
	w := newWorld(t)
	router := w.client(w.issue(id("router")))
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 8 {
				if status, _, err := w.ask(router, "POST", fmt.Sprintf("/v1/models/m%d/tune", i)); err == nil && status == 200 {
					t.Error("permitted")
				}
				_, _, _ = w.ask(router, "GET", "/v1/who")
			}
		}()
	}
	for i := range 20 {
		if err := w.guard.Swap([]byte(policy + strings.Repeat("\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.guard.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if _, err := w.guard.engine.connect(&connection{}, time.Now()); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
