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
		return
	}
	w := newWorldOf(a, config)
	router := w.client(w.issue(id("router")))
	ask := func(tokens ...string) int {
		request := must[*http.Request](t)(http.NewRequest("GET", "https://"+w.addr()+"/v1/secrets", nil))
		for _, token := range tokens {
			request.Header.Add("Authorization", "Bearer "+token)
		}
		response := must[*http.Response](t)(router.Do(request))
		defer response.Body.Close()
		return response.StatusCode
	}
	claims := func(scope, audience string, lasts time.Duration) map[string]any {
		return map[string]any{
			"iss": "https://sso.example", "sub": "alice", "aud": audience, "scope": scope, "exp": time.Now().Add(lasts).Unix(),
		}
	}
	good := sign(claims("read", "model-server", time.Hour))
	for name, one := range map[string]struct {
		tokens []string
		want   int
	}{
		"good":     {[]string{good}, 200},
		"none":     {nil, 403},
		"poor":     {[]string{sign(claims("write", "model-server", time.Hour))}, 403},
		"old":      {[]string{sign(claims("read", "model-server", -time.Hour))}, 401},
		"not ours": {[]string{sign(claims("read", "elsewhere", time.Hour))}, 401},
		"forged":   {[]string{forge(claims("read", "model-server", time.Hour))}, 401},
		"two":      {[]string{good, good}, 401},
		"nonsense": {[]string{"a.b.c"}, 401},
	} {
		if got := ask(one.tokens...); got != one.want {
			t.Error(name, "was answered", got)
		}
	}
	// The issuer takes its key away.
	other, _ := issuerOf(t)
	if err := w.guard.SetIssuer(other); err != nil {
		t.Fatal(err)
	}
	if got := ask(good); got != 401 {
		t.Error("a token of a key that is gone was answered", got)
	}
}

func TestT16OneCredentialOrNone(t *testing.T) {
	for field, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "Basic abc": "", "": "", "Bearer": "!", "Bearer a b": "!", "Bearer a,b": "!",
	} {
		token, err := bearer(http.Header{"Authorization": {field}})
		if refused := err != nil; refused != (want == "!") || (!refused && token != want) {
			t.Error(field, token, err)
		}
	}
	if _, err := bearer(http.Header{"Authorization": {"Bearer a", "Basic b"}}); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
}
