package ztl

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"weak"
)

// RawTargetUnavailable says that a request does not have the target that stood on the wire, or was changed since: what was judged
// would not be what is served (T9, T19).
var RawTargetUnavailable = &Error{Status: ErrArgument, Message: "the raw target of the request is not there, or was changed before the middleware"}

// asOnTheWire refuses a request whose path is not the one that stands in its raw target.
func asOnTheWire(r *http.Request) error {
	if r.RequestURI == "" || r.URL == nil {
		return RawTargetUnavailable
	}
	read, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || read.Path != r.URL.Path || read.RawQuery != r.URL.RawQuery || read.EscapedPath() != r.URL.EscapedPath() {
		return RawTargetUnavailable
	}
	return nil
}

// inbound is a connection to this workload.
type inbound struct {
	mu   sync.Mutex
	flow *flow
}

func (c *inbound) get(make func() (*flow, error)) (*flow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flow == nil {
		made, err := make()
		if err != nil {
			return nil, err
		}
		c.flow = made
	}
	return c.flow, nil
}

func (c *inbound) drop(old *flow) {
	c.mu.Lock()
	if c.flow == old {
		c.flow = nil
	}
	c.mu.Unlock()
}

func (c *inbound) forget() {
	c.mu.Lock()
	c.flow = nil
	c.mu.Unlock()
}

// inbound is the connection of a request. net/http gives each connection one TLS state, which its requests point to; whoever copies
// it gets a connection that is proved anew, and nothing worse.
func (g *Guard) inbound(r *http.Request) *inbound {
	key := weak.Make(r.TLS)
	if held, ok := g.flows.Load(key); ok {
		return held.(*inbound)
	}
	held, there := g.flows.LoadOrStore(key, &inbound{})
	if !there {
		flows := &g.flows
		runtime.AddCleanup(r.TLS, func(key weak.Pointer[tls.ConnectionState]) { flows.Delete(key) }, key)
	}
	return held.(*inbound)
}

// textAddr is the address that net/http wrote down.
type textAddr string

func (a textAddr) Network() string { return "tcp" }
func (a textAddr) String() string  { return string(a) }

var _ net.Addr = textAddr("")

var asking = sync.Pool{New: func() any { return &asked{} }}

func (a *asked) free() {
	// Headers may be credentials.
	clear(a.arena)
	a.arena, a.lens, a.claims = a.arena[:0], a.lens[:0], nil
	asking.Put(a)
}

// fields is how many were laid out, after method and target.
func (a *asked) fields() int { return len(a.lens)/2 - 1 }

// request lays out a request, with all of its header fields. Where it has a Host field beside the host that net/http read, it came
// over HTTP/2 with an authority, and the two have to agree (RFC 9113 §8.3.1).
func (a *asked) request(method, target, host string, header http.Header) {
	a.score = -1
	a.add(method)
	a.add(target)
	if host != "" {
		name := "host"
		if len(header["Host"]) > 0 {
			name = ":authority"
		}
		a.add(name)
		a.add(host)
	}
	for name, values := range header {
		for _, value := range values {
			a.add(name)
			a.add(value)
		}
	}
}
