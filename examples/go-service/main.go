// The vector store of five-workloads, in Go: who may query and who may drop a collection stands in the policy, and not here.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	ztl "github.com/ztl-rs/ztl/ztl-ffi/go"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: service FOLDER POLICY HOST PORT")
	}
	folder, policy, address := os.Args[1], os.Args[2], net.JoinHostPort(os.Args[3], os.Args[4])
	svid, err := tls.LoadX509KeyPair(folder+"/vector-store.pem", folder+"/vector-store.key")
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := os.ReadFile(folder + "/bundle.pem")
	if err != nil {
		log.Fatal(err)
	}
	guard, err := ztl.NewGuard(ztl.Config{
		PolicyFile:  policy,
		Me:          "vector-store",
		AuditFile:   folder + "/vector-store.jsonl",
		Bundles:     map[string][]byte{"prod.example": bundle},
		Certificate: svid,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close()
	server := &http.Server{
		Addr:              address,
		TLSConfig:         guard.TLSConfig(),
		Handler:           guard.Middleware(routes()),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// net/http answers `OPTIONS *` itself otherwise, and nobody judges it.
		DisableGeneralOptionsHandler: true,
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

type sentence struct {
	text   string
	vector []float64
}

func embedded(texts ...string) (sentences []sentence) {
	for _, text := range texts {
		sentences = append(sentences, sentence{text, embed(text)})
	}
	return
}

func routes() http.Handler {
	var mu sync.Mutex
	collections := map[string][]sentence{
		"handbook": embedded(
			"A new colleague has 27 days of leave in the first year.",
			"Whoever is ill says so before nine, and rests.",
			"Expenses are paid back within ten days of the receipt.",
			"Passwords are never told, least of all on the telephone."),
		"menu": embedded(
			"Lunch is served from noon, on Fridays with cake.",
			"Dinner is served when a release goes wrong."),
		"salaries": embedded(
			"Ada earns 118 000 a year, and Grace 121 000.",
			"The director earns 240 000 a year and has a boat."),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/collections/{name}/query", func(w http.ResponseWriter, r *http.Request) {
		served(r)
		var asked struct{ Vector []float64 }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&asked); err != nil || asked.Vector == nil {
			http.Error(w, "no vector", http.StatusBadRequest)
			return
		}
		mu.Lock()
		found, ok := collections[r.PathValue("name")]
		mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		found = slices.Clone(found)
		slices.SortStableFunc(found, func(one, two sentence) int {
			switch a, b := cosine(asked.Vector, one.vector), cosine(asked.Vector, two.vector); {
			case a > b:
				return -1
			case a < b:
				return 1
			}
			return 0
		})
		passages := []string{}
		for _, best := range found[:min(2, len(found))] {
			passages = append(passages, best.text)
		}
		say(w, map[string]any{"passages": passages})
	})
	mux.HandleFunc("DELETE /v1/collections/{name}", func(w http.ResponseWriter, r *http.Request) {
		served(r)
		mu.Lock()
		delete(collections, r.PathValue("name"))
		mu.Unlock()
		say(w, map[string]any{"dropped": r.PathValue("name")})
	})
	return mux
}

// served tells the log who was let in.
func served(r *http.Request) {
	peer, _ := ztl.PeerFrom(r.Context())
	fmt.Println("served", peer.ID)
}

func say(w http.ResponseWriter, answer map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
