package ztl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const tokenRule = `
[issuers.sso]
issuer = "https://sso.example"
audience = "model-server"

[[permit]]
name = "readers-read"
from = "router"
to = "model-server"
actions = ["GET /v1/secrets"]
[permit.require]
token = { issuer = "sso", scopes = ["read"] }
`

// issuerOf signs tokens with a key of its own.
func issuerOf(t *testing.T) (Issuer, func(claims map[string]any) string) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	encode := base64.RawURLEncoding.EncodeToString
	number := func(n interface{ FillBytes([]byte) []byte }) string { return encode(n.FillBytes(make([]byte, 32))) }
	jwks := must[[]byte](t)(json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": number(key.X), "y": number(key.Y),
	}}}))
	sign := func(claims map[string]any) string {
		header := `{"alg":"ES256","kid":"one","typ":"at+jwt"}`
		signed := encode([]byte(header)) + "." + encode(must[[]byte](t)(json.Marshal(claims)))
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	return Issuer{Name: "sso", Iss: "https://sso.example", Audience: "model-server", JWKS: jwks}, sign
}

// withoutTokens ends a test that needs a library that was built with the feature jwt: ZTL_TOKENS says that it is one.
func withoutTokens(t *testing.T) {
	t.Helper()
	if os.Getenv("ZTL_TOKENS") != "" {
		t.Fatal("ZTL_TOKENS says that the library verifies tokens, and it does not: build it with `--features jwt`")
	}
	t.Skip("the library was built without tokens")
}

// A library that verifies no tokens makes no guard that is told to; one that does takes good ones and nothing else.
func TestT16TokensAreVerifiedOrNothingIsServed(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	_, forge := issuerOf(t)
	config := a.config("model-server")
	config.Policy = []byte(policy + tokenRule)
	config.Issuers = []Issuer{issuer}
	if guard, err := NewGuard(config); errors.Is(err, ErrUnsupported) {
		if guard != nil {
			t.Fatal("a guard came with an error")
		}
		withoutTokens(t)
	}
	w := newWorldOf(a, config)
	router := w.client(w.issue(id("router")))
	var challenge string
	query := ""
	ask := func(tokens ...string) int {
		request := must[*http.Request](t)(http.NewRequest("GET", "https://"+w.addr()+"/v1/secrets"+query, nil))
		for _, token := range tokens {
			request.Header.Add("Authorization", "Bearer "+token)
		}
		response := must[*http.Response](t)(router.Do(request))
		defer response.Body.Close()
		challenge = response.Header.Get("WWW-Authenticate")
		return response.StatusCode
	}
	claims := func(scope, audience string, lasts time.Duration) map[string]any {
		return map[string]any{
			"iss": "https://sso.example", "sub": "alice", "aud": audience, "scope": scope, "exp": time.Now().Add(lasts).Unix(),
		}
	}
	good := sign(claims("read", "model-server", time.Hour))
	for name, one := range map[string]struct {
		tokens    []string
		want      int
		challenge string
	}{
		"good": {[]string{good}, 200, ""},
		// RFC 6750 §3: who showed nothing is told no error.
		"none":     {nil, 401, "Bearer"},
		"poor":     {[]string{sign(claims("write", "model-server", time.Hour))}, 403, `Bearer error="insufficient_scope"`},
		"old":      {[]string{sign(claims("read", "model-server", -time.Hour))}, 401, `Bearer error="invalid_token"`},
		"not ours": {[]string{sign(claims("read", "elsewhere", time.Hour))}, 401, `Bearer error="invalid_token"`},
		"forged":   {[]string{forge(claims("read", "model-server", time.Hour))}, 401, `Bearer error="invalid_token"`},
		"two":      {[]string{good, good}, 401, `Bearer error="invalid_token"`},
		"nonsense": {[]string{"a.b.c"}, 401, `Bearer error="invalid_token"`},
		// The library reads neither of them.
		"too long":  {[]string{strings.Repeat("a", 64<<10+1)}, 401, `Bearer error="invalid_token"`},
		"not UTF-8": {[]string{"a.\xff.c"}, 401, `Bearer error="invalid_token"`},
	} {
		if got := ask(one.tokens...); got != one.want || challenge != one.challenge {
			t.Error(name, "was answered", got, challenge)
		}
	}
	for _, query = range []string{"?access_token=" + good, "?page=2;Access%5ftoken", "?access_token="} {
		for _, tokens := range [][]string{{good}, nil} {
			if got := ask(tokens...); got != 401 || challenge != `Bearer error="invalid_token"` {
				t.Error(query, "was answered", got, challenge)
			}
		}
	}
	for _, query = range []string{"?page=access_token&token=" + good, "?acce%C5%BFs_token=x", "?access_to%E2%84%AAen=x", "?access_toke=x"} {
		if got := ask(good); got != 200 {
			t.Error(query, "is no token, and was answered", got)
		}
	}
	query = ""
	// Where no rule could read a token, none is looked at (T34).
	config.Policy = []byte(policy)
	request := w.request(w.issue(id("router")), "GET", "/v1/none")
	request.Header.Set("Authorization", "Bearer a.b.c")
	if _, _, err := w.authority.guard(config).Begin(request); !errors.Is(err, NoActionPermitted) || errors.Is(err, ErrToken) {
		t.Error(err)
	}
	// The issuer takes its key away.
	other, _ := issuerOf(t)
	if err := w.guard.SetIssuer(other); err != nil {
		t.Fatal(err)
	}
	if got := ask(good); got != 401 {
		t.Error("a token of a key that is gone was answered", got)
	}
	if err := w.guard.SetIssuer(issuer); err != nil {
		t.Fatal(err)
	}
	if got := ask(good); got != 200 {
		t.Error(got)
	}
	// T34: past its budget a caller's tokens are not checked, but for those that were good before.
	leaf := w.issue(id("router"))
	spend := func(token string) int {
		request := w.request(leaf, "GET", "/v1/secrets")
		request.Header.Set("Authorization", "Bearer "+token)
		recorder := &recorder{header: http.Header{}}
		w.server.Config.Handler.ServeHTTP(recorder, request)
		return recorder.status
	}
	statuses := map[int]int{}
	for range 400 {
		statuses[spend("a.b.c")]++
	}
	if statuses[401] < 200 || statuses[429] < 50 || statuses[401]+statuses[429] != 400 {
		t.Error(statuses)
	}
	// 64 are forgotten as a second begins, so that one of several may be looked at after all.
	var fresh []string
	for i := range 5 {
		fresh = append(fresh, sign(claims("read", "model-server", time.Hour+time.Duration(i)*time.Minute)))
	}
	unseen := map[int]int{}
	for _, token := range fresh {
		for range 80 {
			spend("a.b.c")
		}
		unseen[spend(token)]++
	}
	if unseen[429] == 0 {
		t.Error("tokens that nobody has seen before were answered", unseen)
	}
	if got := ask(good); got != 200 {
		t.Error("a token that was good before was answered", got)
	}
}

// A policy that comes in while a request is judged has its forbids by token as well (T12), and an issuer that comes later its tokens.
func TestT12ATokenIsLookedAtUnderThePolicyThatJudges(t *testing.T) {
	a := newAuthority(t)
	issuer, sign := issuerOf(t)
	config := a.config("model-server")
	scored := policy + "[permit.require]\ntrust_score = 70\n"
	forbids := scored + "[workloads.evil]\nid = \"spiffe://prod.example/evil\"\n[[forbid]]\nfrom = \"evil\"\nto = \"model-server\"\n"
	config.Policy = []byte(scored)
	var guard *Guard
	var swaps atomic.Bool
	config.TrustScore = func(*http.Request, Peer) int {
		if swaps.CompareAndSwap(true, false) {
			if err := guard.Swap([]byte(forbids)); err != nil {
				t.Error(err)
			}
		}
		return 80
	}
	guard = a.guard(config)
	if err := guard.SetIssuer(issuer); errors.Is(err, ErrUnsupported) {
		withoutTokens(t)
	} else if err != nil {
		t.Fatal(err)
	}
	request := a.request(a.issue(id("router")), "GET", "/v1/who")
	request.Header.Set("Authorization", "Bearer "+sign(map[string]any{
		"iss": "https://sso.example", "sub": id("evil"), "aud": "model-server", "exp": time.Now().Add(time.Hour).Unix(),
	}))
	// Begin would judge again once it sees that something changed.
	ask := func() error {
		_, err := guard.authorize(request, judging{token: &token{}})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal("nothing forbids it yet:", err)
	}
	swaps.Store(true)
	for range 2 {
		if err := ask(); !errors.Is(err, Forbidden) {
			t.Error(err)
		}
	}
}

func TestT16OneCredentialOrNone(t *testing.T) {
	for field, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "Basic abc": "", "": "", "Bearer": "!", "Bearer a b": "!", "Bearer a,b": "!",
	} {
		token, err := bearer(http.Header{"Authorization": {field}}, "/")
		if refused := err != nil; refused != (want == "!") || (!refused && token != want) {
			t.Error(field, token, err)
		}
	}
	if _, err := bearer(http.Header{"Authorization": {"Bearer a", "Basic b"}}, "/"); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
}
