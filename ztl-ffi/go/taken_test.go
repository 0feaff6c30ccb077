package ztl

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	upgrades = "GET /v1/live HTTP/1.1\r\nHost: model-server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// sockets is the policy with a WebSocket in it.
var sockets = strings.Replace(policy, "GET /v1/live", "websocket /v1/live", 1)

// echo is what serves a connection that was taken, with a deadline of its own for each answer.
func echo(conn net.Conn) {
	defer conn.Close()
	said := make([]byte, 1)
	for {
		if _, err := io.ReadFull(conn, said); err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write(said); err != nil {
			return
		}
	}
}

// take takes the connection of a request, and answers that it did.
func take(t *testing.T, out http.ResponseWriter) net.Conn {
	conn, _, err := out.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return nil
	}
	_, _ = io.WriteString(conn, switched)
	return conn
}

// socket is the caller's end of one that was upgraded.
type socket struct {
	*testing.T
	*tls.Conn
	from *bufio.Reader
}

func (w *world) socket(t *testing.T) *socket {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{w.issue(id("router"))}}
	conn := must[*tls.Conn](t)(tls.Dial("tcp", w.addr(), config))
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	must[int](t)(io.WriteString(conn, upgrades))
	from := bufio.NewReader(conn)
	answer := must[*http.Response](t)(http.ReadResponse(from, nil))
	if answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer.Status)
	}
	return &socket{t, conn, from}
}

func (s *socket) echoes() {
	s.Helper()
	if _, err := s.Write([]byte("x")); err != nil {
		s.Fatal(err)
	}
	if got, err := s.from.ReadByte(); err != nil || got != 'x' {
		s.Fatal(got, err)
	}
}

// isOver says that nothing more comes, within a second.
func (s *socket) isOver(since time.Time) {
	s.Helper()
	// What is written is answered where somebody serves on.
	_, _ = s.Write([]byte("x"))
	_ = s.SetReadDeadline(since.Add(3 * time.Second))
	if got, err := s.from.ReadByte(); err == nil {
		s.Error("served on", got)
	}
	if took := time.Since(since); took > time.Second {
		s.Error("cut after", took)
	}
}

// upgrading is a world with WebSockets, which this handler takes.
func upgrading(t *testing.T, handler func(net.Conn)) *world {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(sockets)
	return newWorldOfHandler(a, config, func(out http.ResponseWriter, _ *http.Request) { handler(take(t, out)) })
}

func (g *Guard) runs() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.running)
}

// settles waits until so many requests run.
func (w *world) settles(t *testing.T, runs int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); w.guard.runs() != runs; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(w.guard.runs(), "requests run, and not", runs)
		}
	}
}

// A connection that a handler took lasts as long as the permit, whoever serves it, and whatever deadlines they set (T14).
func TestLaw8AConnectionThatWasTakenEndsWithThePermit(t *testing.T) {
	rules, _, _ := strings.Cut(policy, "[[permit]]")
	for how, handler := range map[string]func(net.Conn){
		"by its handler":    echo,
		"after it returned": func(conn net.Conn) { go echo(conn) },
	} {
		for name, change := range map[string]func(*world) error{
			"policy":      func(w *world) error { return w.guard.Swap([]byte(rules)) },
			"authorities": func(w *world) error { return w.guard.Trust("prod.example", nil) },
			"revocation":  func(w *world) error { return w.guard.SetCRLs("prod.example", w.revocations()) },
			"closed":      func(w *world) error { return w.guard.Close() },
		} {
			t.Run(name+", served "+how, func(t *testing.T) {
				w := upgrading(t, handler)
				socket := w.socket(t)
				socket.echoes()
				begun := time.Now()
				if err := change(w); err != nil {
					t.Fatal(err)
				}
				socket.isOver(begun)
				// Who served it closes it, and nothing of it is kept.
				w.settles(t, 0)
			})
		}
	}
}

// A cut that comes before the connection is taken is not undone by that.
func TestLaw8NobodyTakesTheConnectionOfARequestThatWasCut(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(sockets)
	rules, _, _ := strings.Cut(policy, "[[permit]]")
	refused := make(chan error, 1)
	var w *world
	w = newWorldOfHandler(a, config, func(out http.ResponseWriter, _ *http.Request) {
		if err := w.guard.Swap([]byte(rules)); err != nil {
			t.Error(err)
		}
		conn, _, err := http.NewResponseController(out).Hijack()
		refused <- err
		if err == nil {
			echo(conn)
		}
	})
	if answer := w.raw(w.issue(id("router")), upgrades); answer != "" {
		t.Error(answer)
	}
	if err := <-refused; !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
	w.settles(t, 0)
}

// What is permitted still is served on; it is judged as a request that runs, after its handler has returned as before.
func TestLaw8AConnectionThatWasTakenIsJudgedAgain(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.Policy = []byte(sockets + "[permit.require]\ntrust_score = 70\n")
	var asked, given atomic.Int32
	given.Store(80)
	config.TrustScore = func(r *http.Request, _ Peer) int {
		asked.Add(1)
		if r.Context().Err() != nil {
			t.Error("the request that is asked about is over")
		}
		return int(given.Load())
	}
	returned := make(chan struct{})
	w := newWorldOfHandler(a, config, func(out http.ResponseWriter, r *http.Request) {
		go func() {
			<-r.Context().Done()
			close(returned)
		}()
		go echo(take(t, out))
	})
	socket := w.socket(t)
	<-returned
	swap := func() time.Time {
		t.Helper()
		begun := time.Now()
		if err := w.guard.Swap(append(config.Policy, '\n')); err != nil {
			t.Fatal(err)
		}
		return begun
	}
	swap()
	socket.echoes()
	if asked.Load() != 2 {
		t.Error("asked", asked.Load(), "times")
	}
	given.Store(60)
	socket.isOver(swap())
	w.settles(t, 0)
}

// Whoever closes it ends the request, and a handler that panics leaves nothing open.
func TestLaw8ATakenConnectionThatIsClosedIsARequestThatEnded(t *testing.T) {
	closing := make(chan struct{})
	w := upgrading(t, func(conn net.Conn) {
		go func() {
			<-closing
			_ = conn.Close()
			_ = conn.Close()
		}()
	})
	socket := w.socket(t)
	w.settles(t, 1)
	close(closing)
	w.settles(t, 0)
	socket.isOver(time.Now())

	var kept net.Conn
	w = upgrading(t, func(conn net.Conn) {
		kept = conn
		panic("after it was taken")
	})
	socket = w.socket(t)
	w.settles(t, 0)
	socket.isOver(time.Now())
	if _, err := kept.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// What handlers ask net/http's own writer for is there behind the guard.
func TestAWriterBehindTheGuardDoesWhatItsOwnDoes(t *testing.T) {
	a := newAuthority(t)
	read := make(chan struct{})
	w := newWorldOfHandler(a, a.config("model-server"), func(out http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(out)
		if err := errors.Join(control.SetReadDeadline(time.Time{}), control.EnableFullDuplex(), control.Flush()); err != nil {
			t.Error(err)
		}
		must[int](t)(out.(io.StringWriter).WriteString("one "))
		out.(http.Flusher).Flush()
		// The caller has what was flushed before the handler goes on.
		<-read
		must[int64](t)(out.(io.ReaderFrom).ReadFrom(strings.NewReader("two")))
	})
	request := must[*http.Request](t)(http.NewRequest("GET", "https://"+w.addr()+"/v1/who", nil))
	response := must[*http.Response](t)(w.client(w.issue(id("router"))).Do(request))
	defer response.Body.Close()
	first := make([]byte, 4)
	must[int](t)(io.ReadFull(response.Body, first))
	close(read)
	rest := must[[]byte](t)(io.ReadAll(response.Body))
	if response.ProtoMajor != 1 || string(first)+string(rest) != "one two" {
		t.Error(response.Proto, string(first), string(rest))
	}
}
