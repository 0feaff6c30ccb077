package grpc

import (
	"context"
	"errors"
	"net"
	"net/http"

	ztl "github.com/ztl-rs/ztl/ztl-ffi/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// DialOptions make a client of one workload: whoever answers has to prove that it is that one, and each call is judged on the
// connection that it goes over, before anything of it is sent. A call that is not permitted fails with PermissionDenied; why is in
// the error, and in the audit. So does one with metadata in which this workload is not trusted to pass an id on (forwarded,
// x-forwarded-client-cert), and one with the authorization of the call under whose context it goes out, unless [PassOnAuthorization]
// is among the options (T27): nobody could take it out of the call any more, and the audit has a permit of a call that was not sent.
// Metadata that other credentials of a call add is not looked at.
func DialOptions(guard *ztl.Guard, workload string, port uint16, options ...Option) []grpc.DialOption {
	calls := &client{guard: guard, workload: workload, port: port}
	for _, option := range options {
		option(calls)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(calls),
		grpc.WithPerRPCCredentials(judge{}),
		grpc.WithAuthority(workload),
		grpc.WithNoProxy(),
	}
}

// Option of a client.
type Option func(*client)

// PassOnAuthorization sends the authorization of a call that came in as well, where one goes out under its context with the same
// credential: to the workload that is called, which then holds a token that was meant for us (T27).
func PassOnAuthorization() Option { return func(calls *client) { calls.passOn = true } }

type client struct {
	guard    *ztl.Guard
	workload string
	port     uint16
	passOn   bool
}

// called is the connection that a call goes over.
type called struct {
	credentials.CommonAuthInfo
	call *ztl.Call
}

func (called) AuthType() string { return "ztl" }

func (c *client) ClientHandshake(ctx context.Context, _ string, plain net.Conn) (net.Conn, credentials.AuthInfo, error) {
	call, err := c.guard.Call(ctx, plain, c.workload, c.port, "h2")
	if err != nil {
		return nil, nil, err
	}
	if call.Conn.ConnectionState().NegotiatedProtocol != "h2" {
		_ = call.Conn.Close()
		return nil, nil, errors.New("the server does not speak HTTP/2")
	}
	call.PassOnAuthorization = c.passOn
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return call.Conn, called{level, call}, nil
}

func (c *client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these credentials are for clients: see ServerOptions")
}

func (c *client) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", ServerName: c.workload}
}

func (c *client) Clone() credentials.TransportCredentials {
	clone := *c
	return &clone
}

func (c *client) OverrideServerName(string) error {
	return errors.New("the name is that of the workload")
}

// judge adds nothing to a call: gRPC asks it once it knows the connection, and before it sends.
type judge struct{}

func (judge) RequireTransportSecurity() bool { return true }

func (judge) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	request, _ := credentials.RequestInfoFromContext(ctx)
	over, ok := request.AuthInfo.(called)
	if !ok {
		return nil, status.Error(codes.PermissionDenied, "the connection was not made by ztl")
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	header := canonical(sent)
	err := over.call.Authorize(ctx, http.MethodPost, request.Method, header)
	switch {
	case err == nil && len(header.Values("Authorization")) != len(sent.Get("authorization")):
		// T27: whose token came in is not told to others.
		const why = "the metadata of the call shows the credential of the call that is served: take it away, or say PassOnAuthorization"
		return nil, status.Error(codes.PermissionDenied, why)
	case err == nil && len(header) != len(sent):
		// T12: for whom we speak is said by a proxy alone.
		const why = "the metadata of the call says for whom it is, with which the policy does not trust this workload: take it away"
		return nil, status.Error(codes.PermissionDenied, why)
	case err == nil:
		return nil, nil
	case errors.Is(err, ztl.FlowWithdrawn), errors.Is(err, ztl.IdentityExpired):
		// The connection is closed, and another one is made.
		return nil, status.Error(codes.Unavailable, err.Error())
	default:
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
}
