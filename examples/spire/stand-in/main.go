// A Workload API for machines without SPIRE: gRPC for Go, the stubs of go-spiffe and certificates of crypto/x509, so nothing
// of it is ztl's. It gives every caller the SVIDs of all workloads named, and rotates them.
//
//	stand-in -socket agent.sock -trust-domain spire.example -every 3s store reader
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
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	domain string
	names  []string
	every  time.Duration
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

func newAgent(domain string, names []string, every time.Duration) (*agent, error) {
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
	return &agent{domain: domain, names: names, every: every, key: key, root: root}, err
}

func (a *agent) issue(name string) (*workload.X509SVID, error) {
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
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return &workload.X509SVID{SpiffeId: id.String(), X509Svid: der, X509SvidKey: pkcs8, Bundle: a.root.Raw}, err
}

func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	asked, _ := metadata.FromIncomingContext(stream.Context())
	if value := asked.Get("workload.spiffe.io"); len(value) != 1 || value[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	for {
		response := &workload.X509SVIDResponse{}
		for _, name := range a.names {
			svid, err := a.issue(name)
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
	flag.Parse()
	agent, err := newAgent(*domain, flag.Args(), *every)
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
