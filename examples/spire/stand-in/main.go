// A Workload API for machines without SPIRE: gRPC for Go, the stubs of go-spiffe and certificates of crypto/x509, so nothing
// of it is ztl's. It gives every caller the SVIDs of all workloads named, and rotates them and the authority that signs them.
//
//	stand-in -socket agent.sock -trust-domain spire.example -every 3s -root-every 10s store reader
//
// Authorities overlap, as SPIRE's do: the next one is in every bundle for half of the time before it signs, and the one before it
// for as long afterwards.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	domain    string
	names     []string
	every     time.Duration
	rootEvery time.Duration
	began     time.Time

	mutex   sync.Mutex
	turns   int
	signing *authority
	// The next one, or the one before: trusted and not signing. None where authorities do not rotate.
	beside *authority
}

// An authority of the trust domain.
type authority struct {
	number int
	key    *ecdsa.PrivateKey
	root   *x509.Certificate
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		log.Fatal(err)
	}
	return number.Add(number, big.NewInt(1))
}

func newAuthority(domain string, number int) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(time.Hour),
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: domain}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	return &authority{number: number, key: key, root: root}, err
}

func newAgent(domain string, names []string, every, rootEvery time.Duration) (*agent, error) {
	first, err := newAuthority(domain, 1)
	if err != nil {
		return nil, err
	}
	a := &agent{domain: domain, names: names, every: every, rootEvery: rootEvery, began: time.Now(), signing: first}
	if rootEvery > 0 {
		a.beside, err = newAuthority(domain, 2)
	}
	return a, err
}

// authorities says who signs now, and whom a bundle of now holds.
func (a *agent) authorities() (*authority, []byte, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.rootEvery == 0 {
		return a.signing, a.signing.root.Raw, nil
	}
	for ; a.turns < int(2*time.Since(a.began)/a.rootEvery); a.turns++ {
		if a.turns%2 == 0 {
			a.signing, a.beside = a.beside, a.signing
			fmt.Println("authority", a.signing.number, "signs")
			continue
		}
		next, err := newAuthority(a.domain, a.signing.number+1)
		if err != nil {
			return nil, nil, err
		}
		fmt.Println("authority", a.beside.number, "is withdrawn")
		a.beside = next
	}
	return a.signing, append(append([]byte{}, a.signing.root.Raw...), a.beside.root.Raw...), nil
}

func (a *agent) issue(name string, by *authority, bundle []byte) (*workload.X509SVID, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := &url.URL{Scheme: "spiffe", Host: a.domain, Path: "/" + name}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		NotBefore:             now.Add(-10 * time.Second),
		NotAfter:              now.Add(6*a.every + time.Second),
		URIs:                  []*url.URL{id},
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.root, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return &workload.X509SVID{SpiffeId: id.String(), X509Svid: der, X509SvidKey: pkcs8, Bundle: bundle}, err
}

func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	asked, _ := metadata.FromIncomingContext(stream.Context())
	if value := asked.Get("workload.spiffe.io"); len(value) != 1 || value[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	for {
		by, bundle, err := a.authorities()
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		response := &workload.X509SVIDResponse{}
		for _, name := range a.names {
			svid, err := a.issue(name, by, bundle)
			if err != nil {
				return status.Error(codes.Internal, err.Error())
			}
			response.Svids = append(response.Svids, svid)
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-time.After(a.every):
		}
	}
}

func main() {
	socket := flag.String("socket", "agent.sock", "where to listen")
	domain := flag.String("trust-domain", "spire.example", "whose SVIDs to give")
	every := flag.Duration("every", 3*time.Second, "how often they rotate")
	rootEvery := flag.Duration("root-every", 0, "how often the authority rotates; 0 is never")
	flag.Parse()
	if *every <= 0 || *rootEvery < 0 || (*rootEvery != 0 && *rootEvery < 3**every) {
		// Else whoever asks every so often would not hear of an authority before it signs.
		log.Fatalf("-root-every is 0 or at least three times -every, which is above 0, and not %v and %v", *rootEvery, *every)
	}
	agent, err := newAgent(*domain, flag.Args(), *every, *rootEvery)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, agent)
	fmt.Println("serving", *socket)
	log.Fatal(server.Serve(listener))
}
