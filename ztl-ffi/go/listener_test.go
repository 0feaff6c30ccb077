package ztl

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// tlsListener takes one connection as an impostor, and counts what it is sent.
type tlsListener struct {
	net.Listener
	got chan int64
}

func listen(certificate tls.Certificate) (*tlsListener, error) {
	inner, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return nil, err
	}
	l := &tlsListener{inner, make(chan int64, 1)}
	go func() {
		defer inner.Close()
		conn, err := inner.Accept()
		if err != nil {
			l.got <- -1
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		count, _ := io.Copy(io.Discard, conn)
		l.got <- count
	}()
	return l, nil
}

func (l *tlsListener) resolve(context.Context, string, uint16) (string, error) {
	return l.Addr().String(), nil
}
