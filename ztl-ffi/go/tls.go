package ztl

import (
	"crypto/tls"
	"crypto/x509"
	"net"
)

// TLSConfig is for servers: TLS 1.3, the own SVID, and nobody gets a connection whose flow the policy does not permit. The peer is
// judged by ztl, in VerifyConnection, which resumed sessions do not skip.
//
// Each call makes a new one. Do not set ClientAuth, VerifyConnection or GetConfigForClient on it.
func (g *Guard) TLSConfig() *tls.Config {
	base := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return g.svid.Load(), nil
		},
		// Where GetConfigForClient is taken away, nobody gets in.
		VerifyConnection: func(tls.ConnectionState) error { return errNoPeer },
	}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config := base.Clone()
		config.GetConfigForClient = nil
		config.VerifyConnection = func(state tls.ConnectionState) error {
			_, err := g.admit(state.PeerCertificates, hello.Conn.RemoteAddr(), hello.Conn.LocalAddr())
			if err != nil {
				g.denied(err)
			}
			return err
		}
		return config, nil
	}
	return base
}

// clientTLS is for calls to a workload; `got` takes each flow that is permitted.
func (g *Guard) clientTLS(to target, got func(*flow)) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		ServerName:             to.workload,
		SessionTicketsDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return g.svid.Load(), nil
		},
		// A SPIFFE ID is no host name: ztl proves the server instead, below, and nothing is sent before it did.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			flow, err := g.reaches(to, state.PeerCertificates)
			if err == nil {
				got(flow)
			}
			return err
		},
	}
}

// reaches proves a server of ours and permits the flow to it.
func (g *Guard) reaches(to target, certificates []*x509.Certificate) (*flow, error) {
	call := connection{me: g.config.Me, port: to.port, to: to.workload, egress: true}
	shown(&call.chain, certificates)
	return g.engine.connect(&call, g.config.Now())
}

// admit proves a caller and permits its flow.
func (g *Guard) admit(certificates []*x509.Certificate, remote, local net.Addr) (*flow, error) {
	from := ""
	if remote != nil {
		from = address(remote.String())
	}
	call := connection{me: g.config.Me, port: g.port(local), addr: from}
	shown(&call.chain, certificates)
	return g.engine.connect(&call, g.config.Now())
}

func shown(to *chain, certificates []*x509.Certificate) {
	for _, certificate := range certificates {
		to.add(certificate.Raw)
	}
}
