//go:build cgo

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
	Conn *tls.Conn
	// PassOnAuthorization leaves the Authorization of a request that came in, as that of a [Transport] does. Set it before the first
	// request.
	PassOnAuthorization bool

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

// Authorize judges a request before anything of it is sent on the connection. Fields in which this workload is not trusted to pass an id
// on (X-Forwarded-Client-Cert, Forwarded) are taken out of header, and so is the Authorization of the request under whose context ctx
// this one goes out, unless PassOnAuthorization is set: do not send them (T12, T27). Where the connection is no longer permitted itself,
// it is closed: make another.
func (c *Call) Authorize(ctx context.Context, method, target string, header http.Header) error {
	passes, err := c.guard.sends(c.flow, method, target, header, false)
	if errors.Is(err, FlowWithdrawn) || errors.Is(err, IdentityExpired) || errors.Is(err, ErrClosed) {
		_ = c.Conn.Close()
	}
	if err == nil {
		strip(header, passes)
		if !c.PassOnAuthorization {
			withholdShown(ctx, header)
		}
	}
	return err
}

// sends judges a request of our own, and says in which of its fields it may pass an id on: in those that the policy trusted it with both
// before it was judged and after. `anew` says that a flow that was withdrawn is proved anew.
func (g *Guard) sends(on *flow, method, target string, header http.Header, anew bool) (reads, error) {
	passes := passedOn(header)
	look := func() (err error) {
		if passes != 0 {
			looked, _, failed := g.looksAt(on, anew)
			passes, err = passes&looked, failed
		}
		return err
	}
	if err := look(); err != nil {
		return 0, err
	}
	ask := asking.Get().(*asked)
	defer ask.free()
	ask.request(method, target, "", header)
	if _, err := g.engine.authorize(on, ask, g.config.Now()); err != nil {
		return 0, err
	}
	err := look()
	return passes, err
}
