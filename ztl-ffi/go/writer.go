package ztl

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// writer is that of a request that is being served. Over HTTP/1.1 a handler may take the connection from the server, and serve it after
// it has returned: such a request lasts until the connection is closed.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController
	// end ends the request, once. It is there as soon as the request is permitted.
	end func()

	mu sync.Mutex
	// cause is why it was cut.
	cause error
	// taken is the connection, where the handler has it.
	taken net.Conn
}

// cut ends its reads and its writes, whoever does them.
func (w *writer) cut(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cause = err
	if w.taken != nil {
		// A deadline would be the handler's to set anew.
		shut(w.taken)
		return
	}
	// Not every writer can do it; the context is cancelled in any case.
	past := time.Unix(1, 0)
	_ = w.control.SetReadDeadline(past)
	_ = w.control.SetWriteDeadline(past)
}

// left ends it after its handler, unless that took the connection and returned: goroutines of its own may serve it. One that did not return
// leaves nobody who is sure to close it.
func (w *writer) left(returned bool) {
	w.mu.Lock()
	conn := w.taken
	if conn == nil && w.cause == nil {
		// Taken from here on it would be nobody's to cut.
		w.cause = net.ErrClosed
	}
	w.mu.Unlock()
	if conn != nil && returned {
		return
	}
	if conn != nil {
		shut(conn)
	}
	w.end()
}

// Hijack gives the handler the connection, as [http.Hijacker] does, unless the request was cut: the error says why.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := w.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause != nil {
		// The deadlines that cut it are undone by now.
		shut(conn)
		return nil, nil, w.cause
	}
	w.taken = conn
	return &taken{Conn: conn, end: w.end}, buffered, nil
}

// SetReadDeadline and SetWriteDeadline do what those of [http.ResponseController] do, unless the request was cut: by a deadline that is not
// the handler's to set anew.
func (w *writer) SetReadDeadline(at time.Time) error {
	return w.deadline(w.control.SetReadDeadline, at)
}

func (w *writer) SetWriteDeadline(at time.Time) error {
	return w.deadline(w.control.SetWriteDeadline, at)
}

func (w *writer) deadline(set func(time.Time) error, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause != nil {
		return w.cause
	}
	return set(at)
}

func (w *writer) Flush()                                 { _ = w.FlushError() }
func (w *writer) FlushError() error                      { return w.control.Flush() }
func (w *writer) ReadFrom(from io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, from) }
func (w *writer) WriteString(text string) (int, error)   { return io.WriteString(w.ResponseWriter, text) }
func (w *writer) Unwrap() http.ResponseWriter            { return w.ResponseWriter }

// taken is a connection that a handler took. Its request ends when it is closed.
type taken struct {
	net.Conn
	end func()
}

func (t *taken) Close() error {
	// TLS may wait for its peer to take a farewell, and reads go on meanwhile: until it is closed it can be cut.
	defer t.end()
	return t.Conn.Close()
}

// CloseWrite says that nothing more comes from here, where the connection can say so.
func (t *taken) CloseWrite() error {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// shut closes a connection at once: TLS alone would wait for its peer to take a farewell.
func shut(conn net.Conn) {
	if above, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = above.NetConn()
	}
	_ = conn.Close()
}
