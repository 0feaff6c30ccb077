package ztl

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

const policy = `
schema = 1
trust_domain = "prod.example"

[workloads.router]
id = "spiffe://prod.example/router"
[workloads.stranger]
id = "spiffe://prod.example/stranger"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [8443]

[[permit]]
name = "router-infers"
from = "router"
to = "model-server"
actions = ["POST /v1/models/{model}/infer", "GET /v1/live", "GET /v1/who"]
`

// authority issues X.509-SVIDs.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	pem  []byte
	// issued are the serial numbers of what it issued.
	issued []*big.Int
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newAuthority(t testing.TB) *authority {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	root := must[*x509.Certificate](t)(x509.ParseCertificate(der))
	return &authority{t: t, key: key, root: root, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// revocations is a list of all that it issued.
func (a *authority) revocations() []byte { return a.revokes(time.Hour, a.issued...) }

// revokes is a list that is overdue after a while.
func (a *authority) revokes(lasts time.Duration, serials ...*big.Int) []byte {
	template := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(lasts),
	}
	for _, serial := range serials {
		entry := x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now().Add(-time.Minute)}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, entry)
	}
	return must[[]byte](a.t)(x509.CreateRevocationList(rand.Reader, template, a.root, a.key))
}

func (a *authority) issue(id string) tls.Certificate { return a.issueFor(id, time.Hour) }

func (a *authority) issueFor(id string, lasts time.Duration) tls.Certificate {
	a.t.Helper()
	key := must[*ecdsa.PrivateKey](a.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
	}
	a.issued = append(a.issued, template.SerialNumber)
	if id != "" {
		template.URIs = []*url.URL{must[*url.URL](a.t)(url.Parse(id))}
	}
	der := must[[]byte](a.t)(x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func id(name string) string { return "spiffe://prod.example/" + name }

func (a *authority) config(me string) Config {
	return Config{
		Policy: []byte(policy), Me: me, Port: 8443, Bundles: map[string][]byte{"prod.example": a.pem}, Certificate: a.issue(id(me)),
	}
}

func (a *authority) guard(config Config) *Guard {
	a.t.Helper()
	guard := must[*Guard](a.t)(NewGuard(config))
	a.t.Cleanup(func() { _ = guard.Close() })
	return guard
}

// world is a model server behind a guard.
type world struct {
	*authority
	guard  *Guard
	server *httptest.Server
	served chan string
	live   chan error
}

func newWorld(t testing.TB) *world {
	a := newAuthority(t)
	return newWorldOf(a, a.config("model-server"))
}

func newWorldOf(a *authority, config Config) *world {
	var w *world
	w = newWorldOfHandler(a, config, func(out http.ResponseWriter, r *http.Request) {
		peer, ok := PeerFrom(r.Context())
		if !ok {
			a.t.Error("a request came without a peer")
		}
		w.served <- r.Method + " " + r.URL.Path
		if r.URL.Path == "/v1/live" {
			out.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(out).Flush()
			<-r.Context().Done()
			w.live <- context.Cause(r.Context())
			return
		}
		fmt.Fprint(out, peer.ID)
	})
	return w
}

// newWorldOfHandler is a world with this handler behind the guard.
func newWorldOfHandler(a *authority, config Config, handler http.HandlerFunc) *world {
	w := &world{authority: a, guard: a.guard(config), served: make(chan string, 1000), live: make(chan error, 10)}
	w.server = httptest.NewUnstartedServer(w.guard.Middleware(handler))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.EnableHTTP2 = true
	w.server.Config.DisableGeneralOptionsHandler = true
	w.server.TLS = w.guard.TLSConfig()
	w.server.StartTLS()
	a.t.Cleanup(w.server.Close)
	return w
}

func (w *world) addr() string { return w.server.Listener.Addr().String() }

// client is one that checks nothing, as an attacker's.
func (w *world) client(certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func (w *world) ask(client *http.Client, method, target string) (int, string, error) {
	request := must[*http.Request](w.t)(http.NewRequest(method, "https://"+w.addr()+target, nil))
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// raw sends bytes as they are, over HTTP/1.1.
func (w *world) raw(certificate tls.Certificate, request string) string {
	conn := must[*tls.Conn](w.t)(tls.Dial("tcp", w.addr(), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	must[int](w.t)(io.WriteString(conn, request))
	answer, _ := io.ReadAll(conn)
	line, _, _ := strings.Cut(string(answer), "\r\n")
	return line
}

// record is one of the audit.
type record struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`
	Stage   string `json:"stage"`
	Reason  string `json:"reason"`
	Peer    string `json:"peer"`
	Action  string `json:"action"`
	Rule    string `json:"rule"`
}

// records are those of an audit file that came to a stage.
func records(t testing.TB, file, stage string) (found []record) {
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(file)))) {
		var one record
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one.Stage == stage {
			found = append(found, one)
		}
	}
	return found
}

// caller is a guard of the router whose calls go to the world's server.
func (w *world) caller() *http.Client {
	config := w.config("router")
	config.Resolve = func(context.Context, string, uint16) (string, error) { return w.addr(), nil }
	return w.authority.guard(config).Client()
}
