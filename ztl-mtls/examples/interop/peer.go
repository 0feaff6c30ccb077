// Go's crypto/tls as a client or a server: peer client|server PORT CA [CERTIFICATE KEY]
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	role, port := os.Args[1], os.Args[2]
	ca, err := os.ReadFile(os.Args[3])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config := &tls.Config{
		RootCAs: roots, ServerName: "localhost",
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	if len(os.Args) > 5 {
		own, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
		check(err)
		config.Certificates = []tls.Certificate{own}
	}
	if role == "client" {
		connection, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
		check(err)
		check(connection.SetDeadline(time.Now().Add(20 * time.Second)))
		_, err = connection.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
		check(err)
		answer, err := io.ReadAll(connection)
		fmt.Println(string(answer))
		check(err)
		return
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+port, config)
	check(err)
	fmt.Printf("ACCEPT %v\n", listener.Addr())
	connection, err := listener.Accept()
	check(err)
	check(connection.SetDeadline(time.Now().Add(20 * time.Second)))
	_, err = connection.Read(make([]byte, 4096))
	check(err)
	_, err = connection.Write([]byte("HTTP/1.0 200 OK\r\n\r\nok\n"))
	check(err)
	check(connection.Close())
}
