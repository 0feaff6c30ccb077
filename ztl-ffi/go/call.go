package ztl

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
)

// Call is a connection to another workload, which proved itself, for protocols that [Transport] does not speak.
type Call struct {
	// Conn carries what is permitted.
	Conn  *tls.Conn
	guard *Guard
	flow  *flow
}

// Call shakes hands on a connection that somebody made: whoever answers has to prove that it is that workload, and the flow has
// to be permitted. Otherwise the connection is closed. `protocols` are for ALPN.
func (g *Guard) Call(ctx context.Context, plain net.Conn, workload string, port uint16, protocols ...string) (*Call, error) {
	call := &Call{guard: g}
	config := g.clientTLS(target{workload: workload, port: port}, func(flow *flow) { call.flow = flow })
	config.NextProtos = protocols
	call.Conn = tls.Client(plain, config)
	if err := call.Conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	endAt(call.Conn, call.flow.expires, g.config.Now)
	return call, nil
}

// Authorize judges a request before anything of it is sent on the connection. Where the connection is no longer permitted itself,
// it is closed: make another.
func (c *Call) Authorize(method, target string, header http.Header) error {
	ask := asking.Get().(*asked)
	defer ask.free()
	ask.request(method, target, "", header)
	_, err := c.guard.engine.authorize(c.flow, ask, c.guard.config.Now())
	if errors.Is(err, FlowWithdrawn) || errors.Is(err, IdentityExpired) || errors.Is(err, ErrClosed) {
		_ = c.Conn.Close()
	}
	return err
}
