// What Go's net/http sees: a row of client, request, expected and seen for each, with tabs between.
package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	url, pki := os.Args[1], os.Args[2]
	pair, err := tls.LoadX509KeyPair(pki+"/curl.pem", pki+"/curl.key")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, two := range []bool{false, true} {
		name, version := "Go net/http HTTP/1.1", "HTTP/1.1"
		if two {
			name, version = "Go net/http HTTP/2", "HTTP/2.0"
		}
		shows := client(two, pair)
		for _, ask := range [][2]string{{"/hello", "200"}, {"/secret", "403"}, {"/absent", "403"}} {
			row(name, "GET "+ask[0], ask[1]+" "+version, get(shows, url+ask[0]))
		}
		row(name, "no certificate", "alert certificate required", unshown(two, url))
	}
}

// A handshake without a certificate. HTTP/2's client says only that it failed, so TLS is asked.
func unshown(two bool, url string) string {
	config := &tls.Config{InsecureSkipVerify: true}
	if two {
		config.NextProtos = []string{"h2"}
	}
	connection, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), config)
	if err == nil {
		defer connection.Close()
		// In TLS 1.3 a client learns at its first read that it was refused.
		connection.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = connection.Read(make([]byte, 1))
	}
	if err != nil && strings.Contains(err.Error(), "certificate required") {
		return "alert certificate required"
	}
	return fmt.Sprint(err)
}

func client(two bool, shown ...tls.Certificate) *http.Client {
	// An SVID names a workload and no host, so a client that is not ztl cannot prove the service by its name.
	config := &tls.Config{InsecureSkipVerify: true, Certificates: shown}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: two}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func get(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return fmt.Sprintf("%d %s", answer.StatusCode, answer.Proto)
}

func row(client, request, want, got string) {
	fmt.Printf("%s\t%s\t%s\t%s\n", client, request, want, got)
}
