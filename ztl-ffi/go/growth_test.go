package ztl

import (
	"errors"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is made and let go of again and again leaves nothing behind: engines that are closed, and flows that nobody holds any more. ZTL_CYCLES says
// how often; the race detector keeps memory of its own, so that it is asked without.
func TestGrowth(t *testing.T) {
	cycles, err := strconv.Atoi(os.Getenv("ZTL_CYCLES"))
	if err != nil {
		t.Skip("ZTL_CYCLES says no number of cycles")
	}
	a := newAuthority(t)
	var from chain
	from.add(a.issue(id("router")).Certificate[0])
	connection := &connection{me: "model-server", port: 8443, chain: from}
	now := time.Now()
	cycle := func() {
		engine := must[*engine](t)(newEngine([]byte(policy), "", TOML, ""))
		defer engine.close()
		if err := engine.trust("prod.example", a.pem); err != nil {
			t.Fatal(err)
		}
		flow := must[*flow](t)(engine.connect(connection, now))
		ask := func(method string) error {
			asked := &asked{}
			asked.request(method, "/v1/models/llama/infer", "", http.Header{})
			_, err := engine.authorize(flow, asked, now)
			return err
		}
		if err := ask("POST"); err != nil {
			t.Fatal(err)
		}
		if err := ask("PUT"); !errors.Is(err, NoActionPermitted) {
			t.Fatal(err)
		}
		if err := engine.swap([]byte("nonsense"), TOML); !errors.Is(err, ErrPolicy) {
			t.Fatal(err)
		}
	}
	for range cycles / 10 {
		cycle()
	}
	before := resident(t)
	for i := range cycles {
		cycle()
		// A flow keeps its policy, which the collector does not see: it is called as a larger heap would have called it.
		if i%100 == 0 {
			runtime.GC()
		}
	}
	if grown := resident(t) - before; grown > 4096 {
		t.Errorf("%d cycles left %d KiB behind", cycles, grown)
	} else {
		t.Logf("%d cycles: %d KiB more than the %d KiB before", cycles, grown, before)
	}
}

// resident is what is resident once all that nobody holds is freed, in KiB (proc(5)).
func resident(t *testing.T) int {
	t.Helper()
	// Twice, for what a cleanup lets go of.
	for range 2 {
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	debug.FreeOSMemory()
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile("/proc/self/status")))) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return must[int](t)(strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB"))))
		}
	}
	t.Fatal("the system does not tell what is resident")
	return 0
}
