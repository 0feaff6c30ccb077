package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ztl "github.com/ztl-rs/ztl/ztl-ffi/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const rules = `
schema = 1
trust_domain = "prod.example"
[workloads.router]
id = "spiffe://prod.example/router"
[workloads.stranger]
id = "spiffe://prod.example/stranger"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [8443]
`

const policy = rules + `
[[permit]]
name = "router-checks"
from = "router"
to = "model-server"
actions = ["grpc grpc.health.v1.Health/Check", "grpc grpc.health.v1.Health/Watch"]
`

type world struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	root    *x509.Certificate
	pem     []byte
	guard   *ztl.Guard
	address string
	health  *health
}

// health says who asked; a watch lives until its stream ends.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	mu    sync.Mutex
	peers []string
	ended chan error
	// checking is what a check does before it answers.
	checking func(context.Context)
	// watching is what a watch does before anything else.
	watching func()
}

func (h *health) came(ctx context.Context) {
	from, _ := ztl.PeerFrom(ctx)
	h.mu.Lock()
	h.peers = append(h.peers, from.ID)
	h.mu.Unlock()
}

func (h *health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	h.came(ctx)
	if h.checking != nil {
		h.checking(ctx)
	}
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (h *health) List(ctx context.Context, _ *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	h.came(ctx)
	return &grpc_health_v1.HealthListResponse{}, nil
}

func (h *health) Watch(_ *grpc_health_v1.HealthCheckRequest, out grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	h.came(out.Context())
	if h.watching != nil {
		h.watching()
	}
	if err := out.Send(&grpc_health_v1.HealthCheckResponse{}); err != nil {
		return err
	}
	<-out.Context().Done()
	h.ended <- context.Cause(out.Context())
	return nil
}

func newWorld(t *testing.T) *world { return newWorldOf(t, func(*ztl.Config) {}) }

func newWorldOf(t *testing.T, change func(*ztl.Config)) *world {
	w := &world{t: t, health: &health{ended: make(chan error, 1)}}
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, w.key.Public(), w.key)
	if err != nil {
		t.Fatal(err)
	}
	if w.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	w.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.guard = w.newGuardOf("model-server", change)
	server := grpc.NewServer(ServerOptions(w.guard)...)
	grpc_health_v1.RegisterHealthServer(server, w.health)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	w.address = listener.Addr().String()
	return w
}

func (w *world) issue(name string) tls.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{{Scheme: "spiffe", Host: "prod.example", Path: "/" + name}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, w.root, key.Public(), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (w *world) newGuard(me string) *ztl.Guard { return w.newGuardOf(me, func(*ztl.Config) {}) }

func (w *world) newGuardOf(me string, change func(*ztl.Config)) *ztl.Guard {
	w.t.Helper()
	config := ztl.Config{
		Policy: []byte(policy), Me: me, Port: 8443, Bundles: map[string][]byte{"prod.example": w.pem}, Certificate: w.issue(me),
	}
	change(&config)
	guard, err := ztl.NewGuard(config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = guard.Close() })
	return guard
}

func (w *world) client(options ...grpc.DialOption) grpc_health_v1.HealthClient {
	w.t.Helper()
	return grpc_health_v1.NewHealthClient(w.dial(options...))
}

func (w *world) dial(options ...grpc.DialOption) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+w.address, options...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// attacker checks nothing, and shows an SVID.
func (w *world) attacker(name string) grpc_health_v1.HealthClient { return w.client(w.unchecked(name)) }

func (w *world) unchecked(name string) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{w.issue(name)},
	}))
}

func (w *world) served() int {
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	return len(w.health.peers)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOnlyWhatARuleNamesIsServed(t *testing.T) {
	w := newWorld(t)
	request := &grpc_health_v1.HealthCheckRequest{}
	for name, client := range map[string]grpc_health_v1.HealthClient{
		"ours": w.client(DialOptions(w.newGuard("router"), "model-server", 8443)...), "another's": w.attacker("router"),
	} {
		for range 2 {
			if _, err := client.Check(within(t), request); err != nil {
				t.Fatal(name, err)
			}
		}
		before := w.served()
		if _, err := client.List(within(t), &grpc_health_v1.HealthListRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Error(name, err)
		}
		if w.served() != before {
			t.Error(name, "was served what no rule names")
		}
	}
	for _, from := range w.health.peers {
		if from != "spiffe://prod.example/router" {
			t.Error(from)
		}
	}
	before := w.served()
	if _, err := w.attacker("stranger").Check(within(t), request); err == nil {
		t.Error("a stranger was served")
	}
	if _, err := w.client(DialOptions(w.newGuard("router"), "stranger", 8443)...).Check(within(t), request); err == nil {
		t.Error("a call to another workload was answered")
	}
	if w.served() != before {
		t.Error("a handler was reached")
	}
}

func TestWithoutItsCredentialsEverythingIsDenied(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	w := newWorldOf(t, func(config *ztl.Config) { config.AuditFile = audit })
	_, err := UnaryServerInterceptor(w.guard)(context.Background(), nil,
		&grpc.UnaryServerInfo{FullMethod: "/grpc.health.v1.Health/Check"},
		func(context.Context, any) (any, error) { t.Error("reached"); return nil, nil })
	if status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	// Law 6.
	recorded, err := os.ReadFile(audit)
	if err != nil || strings.Count(string(recorded), "\"reason\":\"identity_unproven\"") != 1 {
		t.Error(err, string(recorded))
	}
}

func TestLaw8AStreamEndsWithItsPermit(t *testing.T) {
	w := newWorld(t)
	stream, err := w.attacker("router").Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := w.guard.Swap([]byte(rules)); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if cause := <-w.health.ended; !errors.Is(cause, ztl.ErrDenied) {
		t.Error(cause)
	}
	if took := time.Since(begun); took > time.Second {
		t.Error("ended after", took)
	}
}

// Whatever keeps a permit from being renewed ends the call: not a denial alone.
func TestLaw8ACallThatCannotBeJudgedAgainIsCut(t *testing.T) {
	var score atomic.Int32
	score.Store(80)
	w := newWorldOf(t, func(config *ztl.Config) {
		config.Policy = []byte(policy + "[permit.require]\ntrust_score = 70\n")
		config.TrustScore = func(*http.Request, ztl.Peer) int {
			if score.Load() < 0 {
				panic("a score that cannot be had")
			}
			return int(score.Load())
		}
	})
	for name, bad := range map[string]int32{"no score": 101, "a panic": -1} {
		score.Store(80)
		stream, err := w.attacker("router").Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(name, err)
		}
		w.health.checking = func(ctx context.Context) {
			score.Store(bad)
			if err := w.guard.SetCRLs("prod.example", nil); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
		}
		if _, err := w.attacker("router").Check(within(t), &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Error(name, "a unary call:", err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
			t.Error(name, "a stream:", err)
		}
		<-w.health.ended
	}
}

// T12: what a handler reads of who is behind a proxy, a proxy has said.
func TestT12AHandlerSeesNoFieldThatAnybodyCanWrite(t *testing.T) {
	w := newWorld(t)
	w.health.checking = func(ctx context.Context) {
		fields, _ := metadata.FromIncomingContext(ctx)
		if len(fields.Get("x-forwarded-client-cert"))+len(fields.Get("forwarded")) != 0 || len(fields.Get("x-tenant")) != 1 {
			t.Error(fields)
		}
	}
	ctx := metadata.AppendToOutgoingContext(within(t), "x-forwarded-client-cert", "URI=spiffe://prod.example/admin", "forwarded", "a=b", "x-tenant", "blue")
	if _, err := w.attacker("router").Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

// T12: for whom a call of ours is made is said by a proxy alone.
func TestT12ACallOfOursSaysForNobodyThatItIs(t *testing.T) {
	w := newWorld(t)
	client := w.client(DialOptions(w.newGuard("router"), "model-server", 8443)...)
	for _, name := range []string{"forwarded", "x-forwarded-client-cert", "x_forwarded_client_cert"} {
		ctx := metadata.AppendToOutgoingContext(within(t), "x-tenant", "blue", name, "for=_x")
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		if status.Code(err) != codes.PermissionDenied || w.served() != 0 {
			t.Error(name, err)
		}
	}
	if _, err := client.Check(metadata.AppendToOutgoingContext(within(t), "x-tenant", "blue"), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	proxy := w.newGuardOf("router", func(config *ztl.Config) {
		router := "id = \"spiffe://prod.example/router\"\n"
		config.Policy = []byte(strings.Replace(policy, router, router+"forwards = \"stranger\"\nforwards_in = \"forwarded\"\n", 1))
	})
	client = w.client(DialOptions(proxy, "model-server", 8443)...)
	for name, want := range map[string]codes.Code{"forwarded": codes.OK, "x-forwarded-client-cert": codes.PermissionDenied} {
		ctx := metadata.AppendToOutgoingContext(within(t), name, "for=_x")
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != want {
			t.Error(name, err)
		}
	}
}

// T27: a handler that copies the metadata of its caller into a call of its own shows nobody the caller's token.
func TestT27ATokenThatCameInIsNotShownToOthers(t *testing.T) {
	const shown = "Bearer of-the-caller"
	next := newWorld(t)
	next.health.checking = func(ctx context.Context) {
		if fields, _ := metadata.FromIncomingContext(ctx); len(fields.Get("authorization")) != 1 {
			t.Error(fields)
		}
	}
	// On the way there it is as well the server of the first call: who calls whom does not matter to it.
	ask := func(add string, options ...Option) error {
		var answer error
		w := newWorld(t)
		onward := next.client(DialOptions(next.newGuard("router"), "model-server", 8443, options...)...)
		w.health.checking = func(ctx context.Context) {
			fields, _ := metadata.FromIncomingContext(ctx)
			if add != "" {
				fields.Set("authorization", add)
			}
			_, answer = onward.Check(metadata.NewOutgoingContext(ctx, fields), &grpc_health_v1.HealthCheckRequest{})
		}
		ctx := metadata.AppendToOutgoingContext(within(t), "authorization", shown, "x-trace", "1")
		if _, err := w.attacker("router").Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
		return answer
	}
	for _, same := range []string{"", "bearer  of-the-caller"} {
		if err := ask(same); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "PassOnAuthorization") {
			t.Error(same, err)
		}
	}
	if next.served() != 0 {
		t.Error("the token was shown")
	}
	if err := ask("Bearer of-our-own"); err != nil {
		t.Error(err)
	}
	if err := ask("", PassOnAuthorization()); err != nil {
		t.Error(err)
	}
	if next.served() != 2 {
		t.Error(next.served())
	}
}

// Laws 6 and 7: whoever is proved and permitted nothing does not learn which methods there are.
func TestLaw7AMethodThatNobodyServesIsJudged(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	w := newWorldOf(t, func(config *ztl.Config) {
		config.Policy, config.AuditFile = []byte(strings.Replace(policy, "\"grpc grpc.health", "\"grpc not.There/Named\", \"grpc grpc.health", 1)), audit
	})
	conn := w.dial(w.unchecked("router"))
	for method, want := range map[string]codes.Code{
		"/not.There/Named": codes.Unimplemented, "/not.There/Other": codes.PermissionDenied, "/grpc.health.v1.Health/Other": codes.PermissionDenied,
	} {
		err := conn.Invoke(within(t), method, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
		if status.Code(err) != want {
			t.Error(method, err)
		}
		stream, err := conn.NewStream(within(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&grpc_health_v1.HealthCheckResponse{}); status.Code(err) != want {
			t.Error(method, err)
		}
		recorded, err := os.ReadFile(audit)
		if err != nil || strings.Count(string(recorded), "\"action\":\"POST "+method+"\"") != 2 {
			t.Error(method, "is not in the audit:", err, string(recorded))
		}
	}
}

// A handler that ends without an answer, as a failed test does, keeps nobody waiting.
func TestAHandlerThatGoesAwayIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.health.watching = runtime.Goexit
	stream, err := w.attacker("router").Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Error(err)
	}
}
