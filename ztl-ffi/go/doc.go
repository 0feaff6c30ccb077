// Package ztl gives Go services ztl, an embeddable zero-trust library: prove each end, permit each flow, authorize each action,
// deny everything left unnamed.
//
// It calls the C library through cgo, and finds it with pkg-config: install that first (see the README of ztl-ffi), so that
// `pkg-config --libs ztl` answers. Everything else is the standard library.
//
//	guard, err := ztl.NewGuard(ztl.Config{
//		PolicyFile:  "policy.toml",
//		Me:          "model-server",
//		AuditFile:   "audit.jsonl",
//		Bundles:     map[string][]byte{"prod.example": bundlePEM},
//		Certificate: svid,
//	})
//	if err != nil {
//		return err
//	}
//	defer guard.Close()
//	server := &http.Server{
//		Addr: ":8443", TLSConfig: guard.TLSConfig(), Handler: guard.Middleware(handler),
//		ReadHeaderTimeout:            10 * time.Second, // for the handshake as well: without it a silent caller stays for ever
//		IdleTimeout:                  2 * time.Minute,  // a connection without a request keeps what its last one was judged by
//		DisableGeneralOptionsHandler: true,             // net/http answers `OPTIONS *` itself otherwise, and nobody judges it
//	}
//	return server.ListenAndServeTLS("", "")
//
// A caller who proves nothing gets no connection; a request that no rule names is answered 403 and never reaches the handler. The
// handler learns who called by [PeerFrom]. Calls to other workloads go through [Guard.Client].
package ztl
