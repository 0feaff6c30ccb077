// Package grpc guards gRPC servers and clients with ztl: who calls is proved in the handshake, and every call judged by the policy,
// as `grpc pkg.Service/Method`.
//
//	server := grpc.NewServer(ztlgrpc.ServerOptions(guard)...)
//	conn, err := grpc.NewClient("dns:///retriever:8443", ztlgrpc.DialOptions(guard, "retriever", 8443)...)
package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"

	ztl "github.com/ztl-rs/ztl/ztl-ffi/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// ServerOptions make a server that takes only connections whose flow is permitted, and serves only calls that a rule names. The
// context of a handler carries the [ztl.Peer] and ends when the permit does. Give interceptors of your own by
// [grpc.ChainUnaryInterceptor] and [grpc.ChainStreamInterceptor], after these: one of [grpc.UnaryInterceptor] or
// [grpc.StreamInterceptor] runs before every chained one, wherever it stands, and sees calls that nobody judged. The message of
// a unary call is decoded before it is judged, as grpc-go has no interceptor before that.
//
// A call of a method that the server does not have is judged like any other, and Unimplemented where it is permitted; a
// [grpc.UnknownServiceHandler] of your own after these is asked then. A path that is no method at all grpc-go answers itself.
//
// An idle connection keeps the policy of its last call in memory, and grpc-go ends none by itself: set MaxConnectionIdle with
// [grpc.KeepaliveParams].
func ServerOptions(guard *ztl.Guard) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(&server{credentials.NewTLS(guard.TLSConfig())}),
		grpc.ChainUnaryInterceptor(UnaryServerInterceptor(guard)),
		grpc.ChainStreamInterceptor(StreamServerInterceptor(guard)),
		grpc.UnknownServiceHandler(unknown),
	}
}

// unknown answers what nobody serves: without it grpc-go would, before any interceptor, so that nobody judges it (laws 6 and 7).
func unknown(any, grpc.ServerStream) error {
	return status.Error(codes.Unimplemented, "not implemented")
}

// UnaryServerInterceptor serves only what a rule names. Without the credentials of [ServerOptions] it denies everything.
func UnaryServerInterceptor(guard *ztl.Guard) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, end, err := begin(ctx, guard, info.FullMethod)
		if err != nil {
			return nil, err
		}
		defer end()
		response, err := handler(ctx, request)
		// What was permitted when it began may not be any more: its answer is not given.
		if cut := context.Cause(ctx); ended(cut) {
			return nil, refusal(cut)
		}
		return response, err
	}
}

// StreamServerInterceptor is the same for streams, which end when their permit does.
func StreamServerInterceptor(guard *ztl.Guard) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, end, err := begin(stream.Context(), guard, info.FullMethod)
		if err != nil {
			return err
		}
		served := make(chan func() error, 1)
		go func() {
			defer end()
			// Whoever ends by runtime.Goexit has no answer, and is waited for by nobody.
			answer := func() error { return status.Error(codes.Internal, "the handler did not answer") }
			defer func() {
				// A panic is the caller's, who may have something that recovers.
				if panicked := recover(); panicked != nil {
					answer = func() error { panic(panicked) }
				}
				served <- answer
			}()
			err := handler(srv, &judged{stream, ctx})
			answer = func() error { return err }
		}()
		var answer func() error
		select {
		case answer = <-served:
		case <-ctx.Done():
		}
		// Cut is cut, whatever the handler said meanwhile: its answer is not given.
		if cut := context.Cause(ctx); ended(cut) {
			return refusal(cut)
		}
		if answer == nil {
			answer = <-served
		}
		return answer()
	}
}

type judged struct {
	grpc.ServerStream
	ctx context.Context
}

func (j *judged) Context() context.Context { return j.ctx }

func (j *judged) SendMsg(message any) error {
	if cut := context.Cause(j.ctx); ended(cut) {
		return refusal(cut)
	}
	return j.ServerStream.SendMsg(message)
}

// connected is what is known of a connection: one of it for each.
type connected struct {
	credentials.TLSInfo
	state *tls.ConnectionState
	local net.Addr
}

// server are credentials that keep one TLS state for each connection.
type server struct {
	credentials.TransportCredentials
}

func (s *server) ServerHandshake(plain net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := s.TransportCredentials.ServerHandshake(plain)
	if err != nil {
		return nil, nil, err
	}
	of, ok := info.(credentials.TLSInfo)
	if !ok {
		_ = conn.Close()
		return nil, nil, errors.New("the connection has no TLS")
	}
	return conn, connected{of, &of.State, conn.LocalAddr()}, nil
}

func (s *server) Clone() credentials.TransportCredentials {
	return &server{s.TransportCredentials.Clone()}
}

// begin judges a call. Its path is the method's full name, and a gRPC call is a POST (gRPC over HTTP/2, Requests).
func begin(ctx context.Context, guard *ztl.Guard, method string) (context.Context, func(), error) {
	fields, _ := metadata.FromIncomingContext(ctx)
	header := canonical(fields)
	request := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: method}, RequestURI: method, Header: header}
	// Who came past our credentials has no TLS here, and proves nothing: that is denied as such, and recorded.
	var info connected
	if from, ok := peer.FromContext(ctx); ok {
		info, _ = from.AuthInfo.(connected)
		if from.Addr != nil {
			request.RemoteAddr = from.Addr.String()
		}
	}
	request.TLS = info.state
	ctx, end, err := guard.Begin(request.WithContext(context.WithValue(ctx, http.LocalAddrContextKey, info.local)))
	if err != nil {
		return nil, nil, refusal(err)
	}
	// What Begin took away is away here as well.
	for name := range fields {
		if _, there := header[http.CanonicalHeaderKey(name)]; !there {
			delete(fields, name)
		}
	}
	return metadata.NewIncomingContext(ctx, fields), end, nil
}

// canonical are the same fields under the names that net/http has for them.
func canonical(fields metadata.MD) http.Header {
	header := http.Header{}
	for name, values := range fields {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// ended says whether the guard cut a call: for whatever reason its permit was not renewed. Where the caller went away, it did not.
func ended(cause error) bool {
	return cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded)
}

// refusal tells the caller no more than that it is denied, and the id to ask the operator about.
func refusal(err error) error {
	code, text := codes.PermissionDenied, "denied"
	var denial *ztl.Denial
	if errors.As(err, &denial) && denial.ID != [16]byte{} {
		text += ", decision " + denial.Decision()
	}
	if denial == nil {
		return status.Error(code, text)
	}
	switch {
	case denial.Reason == ztl.PathAmbiguous, denial.Reason == ztl.Misdirected:
		code = codes.InvalidArgument
	case denial.Lack == ztl.LackToken && errors.Is(err, ztl.ErrBudget):
		code = codes.ResourceExhausted
	case denial.Lack == ztl.LackToken, denial.Lack == ztl.LackMFA:
		code = codes.Unauthenticated
	}
	return status.Error(code, text)
}
