package ztl

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// permitted is a flow of the router's, and what it asks for.
func permitted(t testing.TB) (*engine, *flow, *asked) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	call := connection{me: "model-server", port: 8443, addr: "10.0.0.7"}
	for _, der := range a.issue(id("router")).Certificate {
		call.chain.add(der)
	}
	from := must[*flow](t)(guard.engine.connect(&call, time.Now()))
	if from.peer != id("router") || from.expires.Before(time.Now()) {
		t.Fatal(from.peer, from.expires)
	}
	ask := &asked{}
	ask.request("POST", "/v1/models/llama/infer", "model-server", http.Header{"Accept": {"*/*"}, "X-Tenant": {"blue", ""}})
	return guard.engine, from, ask
}

func TestADecisionAllocatesNothing(t *testing.T) {
	engine, from, ask := permitted(t)
	now := time.Now()
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := engine.authorize(from, ask, now); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Fatal(allocs, "allocations a decision")
	}
}

func TestFlowsLiveAsLongAsTheyAreUsed(t *testing.T) {
	engine, from, ask := permitted(t)
	for range 10 {
		_, other, _ := permitted(t)
		if other == nil {
			t.Fatal("no flow")
		}
		runtime.GC()
		if _, err := engine.authorize(from, ask, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheNumbersAreThoseOfTheHeader(t *testing.T) {
	header := string(must[[]byte](t)(os.ReadFile("../include/ztl.h")))
	numbers := regexp.MustCompile(`(?m)^#define ZTL_REASON_([A-Z_]+) (\d+)$`).FindAllStringSubmatch(header, -1)
	if len(numbers) != len(reasons)+1 {
		t.Fatal(len(numbers), "reasons in the header")
	}
	for i, found := range numbers[:len(reasons)] {
		if name := strings.ToLower(found[1]); name != Reason(i).Error() {
			t.Error(i, name, Reason(i))
		}
	}
	for name, number := range map[string]Lack{
		"NONE": LackNone, "TOKEN": LackToken, "SUBJECT": LackSubject, "ACTORS": LackActors, "SCOPE": LackScope, "CLAIM": LackClaim,
		"MFA": LackMFA, "TRUST_SCORE": LackTrustScore, "ZONE_TRUST": LackZoneTrust, "HEADER": LackHeader,
		"CONDITION": LackCondition, "AUTHORIZER": LackAuthorizer,
	} {
		if !strings.Contains(header, fmt.Sprintf("#define ZTL_LACK_%s %d\n", name, number)) {
			t.Error(name, number)
		}
	}
	for name, number := range map[string]reads{
		"TOKEN": readsToken, "TRUST_SCORE": readsTrustScore, "XFCC": readsXFCC, "FORWARDED": readsForwarded,
	} {
		if !strings.Contains(header, fmt.Sprintf("#define ZTL_READS_%s %d\n", name, number)) {
			t.Error(name, number)
		}
	}
	if Version() == "" || Reason(255).Error() != "other" {
		t.Error(Version())
	}
}

func TestWithoutCgoTheBuildSaysSo(t *testing.T) {
	build := exec.Command("go", "build", "-o", os.DevNull, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "CGO_ENABLED_1_and_a_C_compiler") {
		t.Fatal(err, string(said))
	}
}

func BenchmarkAuthorize(b *testing.B) { benchmark(b, "*/*") }

// BenchmarkWide asks the same with a field that is not ASCII.
func BenchmarkWide(b *testing.B) { benchmark(b, "*/*; q=\u00e9") }

// BenchmarkNothing is the shortest way there and back: the text of the version, copied.
func BenchmarkNothing(b *testing.B) {
	for b.Loop() {
		if Version() == "" {
			b.Fatal("no version")
		}
	}
}

// BenchmarkConnect proves a chain that was proved before, and permits the flow.
func BenchmarkConnect(b *testing.B) {
	a := newAuthority(b)
	guard := a.guard(a.config("model-server"))
	call := connection{me: "model-server", port: 8443, addr: "10.0.0.7"}
	call.chain.add(a.issue(id("router")).Certificate[0])
	now := time.Now()
	for b.Loop() {
		if _, err := guard.engine.connect(&call, now); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmark(b *testing.B, accept string) {
	engine, from, _ := permitted(b)
	ask := &asked{}
	ask.request("POST", "/v1/models/llama/infer", "model-server", http.Header{"Accept": {accept}, "X-Tenant": {"blue", ""}})
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := engine.authorize(from, ask, now); err != nil {
			b.Fatal(err)
		}
	}
}
