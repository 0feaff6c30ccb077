package ztl

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whose token was good, or was looked at before, pays nothing for what changes while its request runs: else all who come through the
// same gateway would be asked to wait for it.
func TestT34JudgingAgainSpendsNoBudget(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	other, signOther := issuerOf(t)
	claims := map[string]any{
		"iss": "https://sso.example", "sub": "alice", "aud": "model-server", "scope": "read", "exp": time.Now().Add(time.Hour).Unix(),
	}
	leaf := a.issue(id("router"))
	for name, many := range map[string]struct{ good, bad, swaps int }{"good ones": {400, 0, 0}, "bad ones": {0, 240, 60}} {
		config := a.config("model-server")
		config.Policy, config.Issuers = []byte(policy+tokenRule), []Issuer{issuer}
		guard := guardWithTokens(t, config)
		one := a.request(leaf, "GET", "/v1/secrets")
		begin := func(target, token string) (context.Context, func(), error) {
			// All of one connection.
			request := one.Clone(one.Context())
			request.RequestURI, request.URL.Path = target, target
			request.Header.Set("Authorization", "Bearer "+token)
			return guard.Begin(request)
		}
		var running []context.Context
		for range many.good {
			ctx, end, err := begin("/v1/secrets", sign(claims))
			if err != nil {
				t.Fatal(name, err)
			}
			defer end()
			running = append(running, ctx)
		}
		for range many.bad {
			if _, _, err := begin("/v1/secrets", "a.b.c"); !errors.Is(err, ErrToken) {
				t.Fatal(name, err)
			}
		}
		if many.swaps > 0 {
			// No rule asks for a token there, and one could.
			ctx, end, err := begin("/v1/who", "a.b.c")
			if err != nil {
				t.Fatal(name, err)
			}
			defer end()
			for range many.swaps {
				if err := guard.Swap(config.Policy); err != nil {
					t.Fatal(err)
				}
			}
			if ctx.Err() != nil {
				t.Error(name, context.Cause(ctx))
			}
		}
		// The key of all of them is taken back.
		if err := guard.SetIssuer(other); err != nil {
			t.Fatal(err)
		}
		for _, ctx := range running {
			if ctx.Err() == nil {
				t.Fatal(name, "a request runs on whose key was taken back")
			}
		}
		_, end, err := begin("/v1/secrets", signOther(claims))
		if err != nil {
			t.Fatal(name, "a new token was not taken:", err)
		}
		end()
	}
}

// What was good is good for as long as its key is, and given back when the request ends.
func TestLaw8AGoodTokenOutlivesAChange(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	config := a.config("model-server")
	config.Policy, config.Issuers = []byte(policy+tokenRule), []Issuer{issuer}
	guard := guardWithTokens(t, config)
	request := a.request(a.issue(id("router")), "GET", "/v1/secrets")
	request.Header.Set("Authorization", "Bearer "+sign(map[string]any{
		"iss": "https://sso.example", "sub": "alice", "aud": "model-server", "scope": "read", "exp": time.Now().Add(time.Hour).Unix(),
	}))
	ctx, end, err := guard.Begin(request)
	if err != nil {
		t.Fatal(err)
	}
	other := newAuthority(t)
	for name, change := range map[string]func() error{
		"policy":      func() error { return guard.Swap(append(config.Policy, '\n')) },
		"authorities": func() error { return guard.Trust("prod.example", append(append([]byte{}, other.pem...), a.pem...)) },
		"keys":        func() error { return guard.SetIssuer(issuer) },
	} {
		if err := change(); err != nil || ctx.Err() != nil {
			t.Error(name, err, context.Cause(ctx))
		}
	}
	var shown *token
	for request := range guard.running {
		shown = request.token
	}
	if shown == nil || shown.claims == nil || shown.claims.ptr == nil {
		t.Fatal("its claims are not kept")
	}
	kept := shown.claims
	end()
	if shown.claims != nil || kept.ptr != nil {
		t.Error("its claims outlive it")
	}
	end()
}

// guardWithTokens ends the test where the library was built without tokens.
func guardWithTokens(t *testing.T, config Config) *Guard {
	t.Helper()
	guard, err := NewGuard(config)
	if errors.Is(err, ErrUnsupported) {
		withoutTokens(t)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close() })
	return guard
}

// A token that was none when it came is one when its issuer is told: a forbid by whom it names then fires on what runs.
func TestT12ATokenIsLookedAtAnewOnceItsIssuerIsTold(t *testing.T) {
	a := newAuthority(t)
	issuer, _ := issuerOf(t)
	other, signOther := issuerOf(t)
	config := a.config("model-server")
	config.Issuers = []Issuer{issuer}
	config.Policy = []byte(policy + forbidsEvil)
	guard := guardWithTokens(t, config)
	request := a.request(a.issue(id("router")), "GET", "/v1/who")
	request.Header.Set("Authorization", "Bearer "+signOther(map[string]any{
		"iss": "https://sso.example", "sub": id("evil"), "aud": "model-server", "exp": time.Now().Add(time.Hour).Unix(),
	}))
	ctx, end, err := guard.Begin(request)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := guard.SetIssuer(other); err != nil {
		t.Fatal(err)
	}
	if cause := context.Cause(ctx); !errors.Is(cause, Forbidden) {
		t.Error(cause)
	}
}

const forbidsEvil = "[workloads.evil]\nid = \"spiffe://prod.example/evil\"\n[[forbid]]\nfrom = \"evil\"\nto = \"model-server\"\n"

// Where something else is said of an issuer, claims that it gave before rest on nothing: the token is what it is under what is said by now.
func TestT12ATokenIsThatOfWhatIsSaidOfItsIssuer(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	elsewhere := issuer
	elsewhere.Audience = "elsewhere"
	config := a.config("model-server")
	config.Issuers = []Issuer{issuer}
	config.Policy = []byte(policy + tokenRule)
	guard := guardWithTokens(t, config)
	begin := func(target, subject string, audience ...string) context.Context {
		t.Helper()
		request := a.request(a.issue(id("router")), "GET", target)
		request.Header.Set("Authorization", "Bearer "+sign(map[string]any{
			"iss": "https://sso.example", "sub": subject, "aud": audience, "scope": "read", "exp": time.Now().Add(time.Hour).Unix(),
		}))
		ctx, end, err := guard.Begin(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
		return ctx
	}
	both := begin("/v1/secrets", "alice", "model-server", "elsewhere")
	first := begin("/v1/secrets", "alice", "model-server")
	evil := begin("/v1/who", id("evil"), "model-server", "elsewhere")
	if err := guard.SetIssuer(elsewhere); err != nil {
		t.Fatal(err)
	}
	if cause := context.Cause(both); cause != nil {
		t.Error("its token is good for both audiences:", cause)
	}
	if cause := context.Cause(first); !errors.Is(cause, ErrToken) {
		t.Error("its token is for another audience:", cause)
	}
	if err := guard.Swap(append(config.Policy, forbidsEvil...)); err != nil {
		t.Fatal(err)
	}
	if cause := context.Cause(evil); !errors.Is(cause, Forbidden) {
		t.Error("a forbid by whom its token names did not fire:", cause)
	}
	if cause := context.Cause(both); cause != nil {
		t.Error(cause)
	}
}

// A token that had not begun when it came begins: a forbid by whom it names then fires on what runs, at the latest a minute after the look
// before it, and nobody looks more often.
func TestT12ATokenThatBeginsIsLookedAtAnew(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	for name, swapped := range map[string]time.Duration{"after a minute": 2 * time.Minute, "before": 50 * time.Second} {
		config := a.config("model-server")
		config.Issuers = []Issuer{issuer}
		config.Policy = []byte(policy + tokenRule)
		var ahead atomic.Int64
		config.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		guard := guardWithTokens(t, config)
		request := a.request(a.issue(id("router")), "GET", "/v1/who")
		begins := time.Now().Add(time.Minute)
		request.Header.Set("Authorization", "Bearer "+sign(map[string]any{
			"iss": "https://sso.example", "sub": id("evil"), "aud": "model-server", "nbf": begins.Unix(), "exp": begins.Add(time.Hour).Unix(),
		}))
		ctx, end, err := guard.Begin(request)
		if err != nil {
			t.Fatal(name, err)
		}
		defer end()
		ahead.Store(int64(swapped))
		if err := guard.Swap(append(config.Policy, forbidsEvil...)); err != nil {
			t.Fatal(name, err)
		}
		if swapped < time.Minute {
			if cause := context.Cause(ctx); cause != nil {
				t.Error(name, "it was looked at again:", cause)
			}
			ahead.Store(int64(time.Minute))
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		if cause := context.Cause(ctx); !errors.Is(cause, Forbidden) {
			t.Error(name, "a forbid by whom its token names did not fire:", cause)
		}
	}
}

// A token that nobody looks at, for its caller's budget is spent, is looked at once there is some again: a forbid by whom it names then fires
// on what runs, whether the request began meanwhile or its token was bad before.
func TestT12ATokenThatWasNotLookedAtForTheBudgetIsLookedAtLater(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	other, _ := issuerOf(t)
	leaf := a.issue(id("router"))
	for name, bad := range map[string]bool{"begun meanwhile": false, "bad before": true} {
		config := a.config("model-server")
		config.Policy = []byte(policy + tokenRule + forbidsEvil)
		config.Issuers = []Issuer{issuer}
		if bad {
			config.Issuers = []Issuer{other}
		}
		// It stands still, so that nothing of what was spent is forgotten.
		var at atomic.Int64
		at.Store(time.Now().Unix())
		config.Now = func() time.Time { return time.Unix(at.Load(), 0) }
		guard := guardWithTokens(t, config)
		one := a.request(leaf, "GET", "/v1/secrets")
		begin := func(target, token string) (context.Context, func(), error) {
			request := one.Clone(one.Context())
			request.RequestURI, request.URL.Path = target, target
			request.Header.Set("Authorization", "Bearer "+token)
			return guard.Begin(request)
		}
		evil := sign(map[string]any{
			"iss": "https://sso.example", "sub": id("evil"), "aud": "model-server", "exp": time.Now().Add(time.Hour).Unix(),
		})
		spend := func() {
			for range 400 {
				if _, _, err := begin("/v1/secrets", "a.b.c"); errors.Is(err, ErrBudget) {
					return
				} else if !errors.Is(err, ErrToken) {
					t.Fatal(name, err)
				}
			}
			t.Fatal(name, "the budget is never spent")
		}
		if !bad {
			spend()
		}
		ctx, end, err := begin("/v1/who", evil)
		if err != nil {
			t.Fatal(name, err)
		}
		defer end()
		if bad {
			spend()
			// Its issuer is told: it would be looked at.
			if err := guard.SetIssuer(issuer); err != nil {
				t.Fatal(name, err)
			}
		}
		if cause := context.Cause(ctx); cause != nil {
			t.Fatal(name, "it was looked at past the budget:", cause)
		}
		at.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		if cause := context.Cause(ctx); !errors.Is(cause, Forbidden) {
			t.Error(name, "a forbid by whom its token names did not fire:", cause)
		}
	}
}

// Two changes at once deny nobody who is proved under both, though one takes back what the other one's proofs rest on.
func TestLaw8ChangesThatMeetDenyNobodyWhoIsProved(t *testing.T) {
	a := newAuthority(t)
	other := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	for range 4 {
		ctx, end, err := guard.Begin(a.request(a.issue(id("router")), "GET", "/v1/who"))
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		defer func() {
			if cause := context.Cause(ctx); cause != nil {
				t.Error(cause)
			}
		}()
	}
	bundles := [][]byte{a.pem, append(append([]byte{}, other.pem...), a.pem...)}
	for i := range 200 {
		met := make(chan error)
		go func() {
			time.Sleep(time.Duration(i) * 5 * time.Microsecond)
			met <- guard.SetCRLs("prod.example", nil)
		}()
		if err := errors.Join(guard.Trust("prod.example", bundles[i%2]), <-met); err != nil {
			t.Fatal(err)
		}
	}
}

// What the first try decided is not told of a second one that proves nobody: such a denial has its own record, and none of a flow.
func TestLaw6ADenialOfAProofIsThatOfNoFlow(t *testing.T) {
	a := newAuthority(t)
	other := newAuthority(t)
	config := a.config("model-server")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	guard := a.guard(config)
	var denied sync.Map
	call := connection{me: "model-server", port: 8443}
	call.chain.add(a.issue(id("router")).Certificate[0])
	over := make(chan struct{})
	var callers sync.WaitGroup
	for range 2 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for {
				select {
				case <-over:
					return
				default:
				}
				_, err := guard.engine.connect(&call, time.Now())
				denial := &Denial{}
				if errors.As(err, &denial) && denial.Reason == IdentityUnproven {
					denied.Store(denial.Decision(), denial.Stage)
				}
			}
		}()
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		for _, pem := range [][]byte{other.pem, a.pem} {
			if err := guard.engine.trust("prod.example", pem); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(over)
	callers.Wait()
	recorded := map[string]bool{}
	for _, record := range records(t, config.AuditFile, "identity") {
		recorded[record.ID] = record.Reason == "identity_unproven"
	}
	denied.Range(func(decision, stage any) bool {
		if !recorded[decision.(string)] || stage != "identity" {
			t.Error("nobody is proved, and that is said to be of", decision, stage)
		}
		return !t.Failed()
	})
}

// Who proves nothing is recorded once: nothing changed that could prove it.
func TestT31AnExpiredCallerIsOneRecord(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	guard := a.guard(config)
	_, _, err := guard.Begin(a.request(a.issueFor(id("router"), -time.Minute), "GET", "/v1/who"))
	if !errors.Is(err, IdentityExpired) {
		t.Error(err)
	}
	if found := records(t, config.AuditFile, "identity"); len(found) != 1 {
		t.Error(found)
	}
}

// A change of authorities denies nobody who is still proved, and the audit says so; where a flow is found withdrawn all the same, that is
// one record.
func TestLaw6WhoIsProvedAnewIsNotDeniedFirst(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	config.TrustScore = func(*http.Request, Peer) int { return 80 }
	guard := a.guard(config)
	one := a.request(a.issue(id("router")), "GET", "/v1/who")
	ask := func() (context.Context, func()) {
		t.Helper()
		ctx, end, err := guard.Begin(one.Clone(one.Context()))
		if err != nil {
			t.Fatal(err)
		}
		return ctx, end
	}
	denials := func() (found []record) {
		for _, stage := range []string{"identity", "flow", "action"} {
			for _, one := range records(t, config.AuditFile, stage) {
				if one.Verdict != "permit" {
					found = append(found, one)
				}
			}
		}
		return found
	}
	other := newAuthority(t)
	both := append(append([]byte{}, other.pem...), a.pem...)
	var running []context.Context
	for range 8 {
		ctx, end := ask()
		defer end()
		running = append(running, ctx)
	}
	if err := guard.Trust("prod.example", both); err != nil {
		t.Fatal(err)
	}
	if err := guard.SetCRLs("prod.example", a.revokes(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, end := ask()
	end()
	for _, ctx := range running {
		if ctx.Err() != nil {
			t.Error(context.Cause(ctx))
		}
	}
	if found := denials(); len(found) != 0 {
		t.Error(found)
	}
	// Past the guard, as where a change and a request meet.
	if err := guard.engine.trust("prod.example", a.pem); err != nil {
		t.Fatal(err)
	}
	_, end = ask()
	end()
	if found := denials(); len(found) != 1 || found[0].Reason != "flow_withdrawn" {
		t.Error(found)
	}
}

// Whatever the host takes for a score: a request is judged by the time at which it is judged.
func TestT23TheTimeIsThatAfterTheHostWasAsked(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
	behind := 40 * time.Second
	config.Now = func() time.Time { return time.Now().Add(-behind) }
	config.TrustScore = func(*http.Request, Peer) int {
		behind = 0
		return 80
	}
	guard := a.guard(config)
	begun := time.Now()
	permit, err := guard.authorize(a.request(a.issue(id("router")), "GET", "/v1/who"), judging{token: &token{}})
	if err != nil {
		t.Fatal(err)
	}
	// A score holds for a minute from when it was given.
	if lasts := permit.expires.Sub(begun); lasts < 55*time.Second {
		t.Error("the score was given", time.Minute-lasts, "before it was asked for")
	}
}

// The same of a call of ours, whose server is proved anew.
func TestLaw6ACallOnAWithdrawnFlowIsOneRecord(t *testing.T) {
	w := newWorld(t)
	config := w.config("router")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	config.Resolve = func(context.Context, string, uint16) (string, error) { return w.addr(), nil }
	guard := w.authority.guard(config)
	client := guard.Client()
	ask := func() {
		t.Helper()
		request := must[*http.Request](t)(http.NewRequest("GET", "https://model-server:8443/v1/who", nil))
		// So that it is asked whether anybody is to see it.
		request.Header.Set("Forwarded", "for=_x")
		response := must[*http.Response](t)(client.Do(request))
		_ = response.Body.Close()
	}
	ask()
	other := newAuthority(t)
	if err := guard.engine.trust("prod.example", append(append([]byte{}, other.pem...), w.pem...)); err != nil {
		t.Fatal(err)
	}
	ask()
	var withdrawn int
	for _, stage := range []string{"flow", "action"} {
		for _, one := range records(t, config.AuditFile, stage) {
			if one.Reason == "flow_withdrawn" {
				withdrawn++
			}
		}
	}
	if withdrawn != 1 {
		t.Error(withdrawn, "records of it")
	}
}
