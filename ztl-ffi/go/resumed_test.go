package ztl

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// resuming is a client that keeps sessions and makes a connection for each request.
func (w *world) resuming() *http.Client {
	client := w.client(w.issue(id("router")))
	transport := client.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	return client
}

// asks says what was answered, and whether the session was resumed.
func asks(client *http.Client, addr string) (status int, resumed bool, err error) {
	response, err := client.Get("https://" + addr + "/v1/who")
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.TLS.DidResume, err
}

// A server of ours gives no tickets, so that each connection shows a certificate.
func TestT5NoSessionIsResumed(t *testing.T) {
	w := newWorld(t)
	client := w.resuming()
	for range 3 {
		if status, resumed, err := asks(client, w.addr()); err != nil || status != 200 || resumed {
			t.Error(status, resumed, err)
		}
	}
}

// Where a host turns tickets on all the same, who resumes is proved anew: a hook that resumed sessions skip, VerifyPeerCertificate, would
// let whoever was proved once come again for as long as the tickets last.
func TestT5AResumedSessionIsJudgedLikeAnother(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var denied []error
	config := w.config("model-server")
	config.OnDenial = func(err error) { mu.Lock(); denied = append(denied, err); mu.Unlock() }
	guard := w.authority.guard(config)
	server := httptest.NewUnstartedServer(guard.Middleware(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		peer, _ := PeerFrom(r.Context())
		_, _ = io.WriteString(out, peer.ID)
	})))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = guard.TLSConfig()
	ours := server.TLS.GetConfigForClient
	server.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config, err := ours(hello)
		if err == nil {
			config.SessionTicketsDisabled = false
			config.SetSessionTicketKeys([][32]byte{{1}})
		}
		return config, err
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	client := w.resuming()
	if status, resumed, err := asks(client, addr); err != nil || status != 200 || resumed {
		t.Fatal(status, resumed, err)
	}
	if status, resumed, err := asks(client, addr); err != nil || status != 200 || !resumed {
		t.Fatal("this tests nothing where nobody resumes:", status, resumed, err)
	}
	// Whoever signed the certificate of the session is trusted no more.
	if err := guard.Trust("prod.example", newAuthority(t).pem); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status, _, err := asks(client, addr); err == nil {
			t.Error("a session that was resumed was answered", status)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(denied) < 2 || !errors.Is(denied[0], IdentityUnproven) {
		t.Error(denied)
	}
}
