package ztl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// Config says what a [Guard] guards. Policy or PolicyFile, Me, Bundles and Certificate have to be there.
type Config struct {
	// Policy is the policy document; PolicyFile is read where it is empty. A file that its group or others may write is refused.
	Policy     []byte
	PolicyFile string
	// Format of the document.
	Format Format
	// Me is the workload of the policy that this service is.
	Me string
	// Port of this workload; 0 takes that of the connection's own end. Set it where a load balancer or a container maps ports.
	Port uint16
	// AuditFile takes a line of JSON for each decision. Empty: the library keeps the last records in memory, where nobody sees
	// them.
	AuditFile string
	// Bundles are the authorities by trust domain: in PEM, or as a SPIFFE bundle document.
	Bundles map[string][]byte
	// CRLs are the revocation lists by trust domain: in PEM, or one in DER. Where a domain has them, a certificate of which no
	// list in time says anything proves nothing.
	CRLs map[string][]byte
	// Certificate is the own X.509-SVID and its key.
	Certificate tls.Certificate
	// Issuers whose bearer tokens are taken, where a rule could read one; needs a library with tokens.
	Issuers []Issuer
	// TrustScore gives a caller's score, 0 to 100, or -1 for none; another number, or a panic, is a denial. It is asked where a rule could
	// read a score, and of running requests as well when something changes or a score ends: of 64 at once in all of the guard, after
	// all that need no score. What is not judged 900 ms after the change is cut, waiting included, and the context of the request that it
	// was given ends. So let it look up what is known by then; a call that does not come back keeps its place among the 64. It may be nil.
	TrustScore func(*http.Request, Peer) int
	// Resolve finds the address, with port, of a workload that is called. Nil: its name, as DNS knows it. Whoever answers has to
	// prove that it is the workload. Its context ends with the ten seconds that a connection may take.
	Resolve func(ctx context.Context, workload string, port uint16) (string, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// OnDenial is told once of each denial that the guard answers itself, such as for a log. That a running request was cut because the
	// guard was closed is told to nobody else: the audit has decisions alone. What it panics with is caught, and told to nobody. It may
	// be nil.
	OnDenial func(error)
}

// Issuer of bearer tokens.
type Issuer struct {
	// Name of the issuer in the policy.
	Name string
	// Iss is the exact value of that claim, Audience what `aud` has to name.
	Iss, Audience string
	// JWKS is its JSON Web Key Set.
	JWKS []byte
	// IDTokens takes ID tokens instead of access tokens.
	IDTokens bool
	// JWTSVIDs takes JWT-SVIDs: Iss is their trust domain, as spiffe://prod.example, and JWKS its SPIFFE bundle document.
	JWTSVIDs bool
}

// said is what was said of an issuer, but for its keys.
type said struct {
	iss, audience      string
	idTokens, jwtSVIDs bool
}

// Peer is the other end of a connection, proved.
type Peer struct {
	// ID is its SPIFFE ID.
	ID string
}

type peerKey struct{}

// PeerFrom is who made the request; false outside of a [Guard.Middleware].
func PeerFrom(ctx context.Context) (Peer, bool) {
	peer, ok := ctx.Value(peerKey{}).(Peer)
	return peer, ok
}

// Guard judges the connections and requests of one workload. Any number of goroutines may use it at once.
type Guard struct {
	engine *engine
	config Config
	svid   atomic.Pointer[tls.Certificate]
	flows  sync.Map // weak.Pointer[tls.ConnectionState] to *inbound

	// issuers counts how often one was told, and changedIssuers how often otherwise than before, but for its keys: claims of before rest on
	// nothing then.
	issuers, changedIssuers atomic.Uint64
	// told is what was said of each, by name. It changes while telling is held, and the library's issuers with it.
	telling sync.RWMutex
	told    map[string]said

	// generation counts changes after which something may no longer be permitted.
	generation atomic.Uint64

	// judges are the places of those about whom the host is asked while they run.
	judges chan struct{}

	mu         sync.Mutex
	running    map[*running]struct{}
	transports []weak.Pointer[Transport]
}

// NewGuard makes a guard. End it with [Guard.Close].
func NewGuard(config Config) (*Guard, error) {
	if len(config.Policy) == 0 && config.PolicyFile == "" {
		return nil, &Error{Status: ErrArgument, Message: "no policy: set Policy or PolicyFile"}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	engine, err := newEngine(config.Policy, config.PolicyFile, config.Format, config.AuditFile)
	if err != nil {
		return nil, err
	}
	g := &Guard{
		engine: engine, config: config, told: map[string]said{}, running: map[*running]struct{}{}, judges: make(chan struct{}, judgedAtOnce),
	}
	if err := g.equip(); err != nil {
		// Its audit file as well is not the collector's to close, some time.
		engine.close()
		return nil, err
	}
	return g, nil
}

// equip puts in force what the configuration has beside the policy.
func (g *Guard) equip() error {
	for domain, pem := range g.config.Bundles {
		if err := g.engine.trust(domain, pem); err != nil {
			return fmt.Errorf("bundle of %s: %w", domain, err)
		}
	}
	for domain, lists := range g.config.CRLs {
		if err := g.engine.crls(domain, lists); err != nil {
			return fmt.Errorf("revocation lists of %s: %w", domain, err)
		}
	}
	for _, issuer := range g.config.Issuers {
		if err := g.tell(issuer); err != nil {
			return fmt.Errorf("issuer %s: %w", issuer.Name, err)
		}
	}
	return g.Rotate(g.config.Certificate)
}

// Close ends the guard: from then on it denies everything, and what runs is cut. A connection that carries no request stays open until
// its next one is denied, or the server ends it.
func (g *Guard) Close() error {
	g.engine.close()
	requests := g.changed()
	for _, request := range requests {
		// Nothing is to be asked about it, and nobody to be waited for.
		request.cut(ErrClosed)
	}
	for _, request := range requests {
		if err := request.told(); err != nil {
			g.denied(err)
		}
	}
	return nil
}

// Rotate takes another own SVID, for every handshake from now on. One that is not this workload's is refused, and the one in use
// stays.
func (g *Guard) Rotate(certificate tls.Certificate) error {
	if len(certificate.Certificate) == 0 || certificate.PrivateKey == nil {
		return &Error{Status: ErrSVID, Message: "the own SVID has no certificate or no key"}
	}
	var svid chain
	for _, der := range certificate.Certificate {
		svid.add(der)
	}
	if _, err := g.engine.checkSVID(g.config.Me, &svid, g.config.Now()); err != nil {
		return err
	}
	g.svid.Store(&certificate)
	return nil
}

// Swap puts another policy in force, for running requests as well: those that it no longer permits are cut. Where it is refused,
// the policy in force stays.
func (g *Guard) Swap(policy []byte) error {
	if err := g.engine.swap(policy, g.config.Format); err != nil {
		return err
	}
	g.judgeAgain()
	return nil
}

// Reload puts the policy in force that stands in [Config.PolicyFile] by now, as [Guard.Swap] does. The file is read twice, half a second
// apart, and refused where it changed meanwhile: rename another one into its place.
func (g *Guard) Reload() error {
	if err := g.engine.swapFile(g.config.PolicyFile, g.config.Format); err != nil {
		return err
	}
	g.judgeAgain()
	return nil
}

// Trust puts the authorities of a trust domain in force, in PEM or as a SPIFFE bundle document; nil: none any more. Connections are
// proved again before they serve anything further.
func (g *Guard) Trust(domain string, bundle []byte) error {
	if err := g.engine.trust(domain, bundle); err != nil {
		return err
	}
	g.forget()
	g.judgeAgain()
	return nil
}

// SetCRLs puts the revocation lists of a trust domain in force, in place of those it had; nil: none any more, so that no status is
// asked for. Connections are proved again before they serve anything further: whose certificate is revoked is cut.
func (g *Guard) SetCRLs(domain string, lists []byte) error {
	if err := g.engine.crls(domain, lists); err != nil {
		return err
	}
	g.forget()
	g.judgeAgain()
	return nil
}

// SetIssuer takes tokens of an issuer, in place of what was said of an issuer of that name before: also for new keys.
func (g *Guard) SetIssuer(issuer Issuer) error {
	if err := g.tell(issuer); err != nil {
		return err
	}
	g.judgeAgain()
	return nil
}

// tell tells the library of an issuer, and counts it once that is in force: who looked at a token before looks again.
func (g *Guard) tell(issuer Issuer) error {
	g.telling.Lock()
	defer g.telling.Unlock()
	if err := g.engine.issuer(issuer); err != nil {
		return err
	}
	now := said{issuer.Iss, issuer.Audience, issuer.IDTokens, issuer.JWTSVIDs}
	if before, known := g.told[issuer.Name]; known && before != now {
		g.changedIssuers.Add(1)
	}
	g.told[issuer.Name] = now
	g.issuers.Add(1)
	return nil
}

// forget drops the flows of callers, none of which is good any more: their next requests, and those that run, are proved anew without
// being denied first.
func (g *Guard) forget() {
	g.flows.Range(func(_, held any) bool {
		held.(*inbound).forget()
		return true
	})
}

// judgeAgain cuts what is no longer permitted.
func (g *Guard) judgeAgain() {
	// All are cut before anybody is told: who is told may take its time.
	for _, err := range g.renew(g.changed()) {
		g.denied(err)
	}
}

// changed says that something may no longer be permitted, and what runs.
func (g *Guard) changed() []*running {
	// Before looking: who registers after the look sees the new count, and judges itself again.
	g.generation.Add(1)
	g.mu.Lock()
	requests := make([]*running, 0, len(g.running))
	for request := range g.running {
		requests = append(requests, request)
	}
	transports := g.transports
	g.mu.Unlock()
	for _, held := range transports {
		if transport := held.Value(); transport != nil {
			transport.renew()
		}
	}
	return requests
}

func (g *Guard) start(request *running) {
	g.mu.Lock()
	g.running[request] = struct{}{}
	g.mu.Unlock()
}

// end says whether it ran until then.
func (g *Guard) end(request *running) bool {
	ran := request.end()
	g.mu.Lock()
	delete(g.running, request)
	g.mu.Unlock()
	return ran
}

// keep has a transport told of changes, for as long as anybody uses it.
func (g *Guard) keep(transport *Transport) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A new slice: somebody may be walking the old one.
	used := make([]weak.Pointer[Transport], 0, len(g.transports)+1)
	for _, held := range g.transports {
		if held.Value() != nil {
			used = append(used, held)
		}
	}
	g.transports = append(used, weak.Make(transport))
}

// denied tells the host. Often that is a goroutine of our own, where a panic would end the process: by an end of a permit, which callers
// bring about.
func (g *Guard) denied(err error) {
	if g.config.OnDenial == nil {
		return
	}
	defer func() { _ = recover() }()
	g.config.OnDenial(err)
}

// port of this workload, as the policy calls it.
func (g *Guard) port(local net.Addr) uint16 {
	if g.config.Port != 0 || local == nil {
		return g.config.Port
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return 0
	}
	return at.Port()
}

// address without port and zone; empty where there is none, which is in no zone of the policy.
func address(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

var errNoPeer = errors.New("the connection has no TLS, so that nobody is proved")
