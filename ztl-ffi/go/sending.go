package ztl

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// sending is a request of our own on its way to a connection. That may take as long as a dial, or as whoever holds one, and what it was judged
// by may change meanwhile.
type sending struct {
	transport *Transport
	request   *http.Request
	to        target
	// generation is the last that was in force before it was judged, and passes is in which of its fields it may pass an id on by that.
	generation uint64
	passes     reads
	// refused is why nothing of it may be sent any more; its dials ask as well.
	refused atomic.Pointer[error]
}

// sendingKey is where the context of a request that goes out, and of its dials, has the [sending].
type sendingKey struct{}

// under is a context with it, for net/http to send it under.
func (s *sending) under(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, sendingKey{}, s)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: s.got})
}

// got judges it again where something changed before it had a connection. net/http writes next, and cannot be told to stop: over a connection
// that is closed nothing is sent.
func (s *sending) got(on httptrace.GotConnInfo) {
	if s.refusal() == nil {
		if err := s.judge(on.Conn); err != nil {
			s.refused.Store(&err)
		}
	}
	if s.refusal() != nil {
		shut(on.Conn)
	}
}

// judge proves who is at the end of this very connection once more: it may be of before the change.
func (s *sending) judge(on net.Conn) error {
	guard := s.transport.guard
	generation := guard.generation.Load()
	if generation == s.generation {
		return nil
	}
	over, ok := on.(*tls.Conn)
	if !ok {
		return errNoPeer
	}
	flow, err := guard.reaches(s.to, over.ConnectionState().PeerCertificates)
	if err != nil {
		return err
	}
	r := s.request
	passes, err := guard.sends(flow, methodOf(r), r.URL.RequestURI(), r.Header, false)
	switch {
	case err != nil:
		return err
	case passes != s.passes:
		return errOtherFields
	}
	s.generation = generation
	return nil
}

// refusal is nil while it may be sent.
func (s *sending) refusal() error {
	if err := s.refused.Load(); err != nil {
		return *err
	}
	return nil
}
