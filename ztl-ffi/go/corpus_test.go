package ztl

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const yes = "permit\taction\tpermitted\t"

// The questions that every language is asked, by callers who show certificates.
func TestCorpusHasTheSameAnswersHere(t *testing.T) {
	read := func(name string) []string {
		text := must[[]byte](t)(os.ReadFile("../tests/corpus/" + name))
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	a := newAuthority(t)
	engine := must[*engine](t)(newEngine([]byte(strings.Join(read("policy.toml"), "\n")), "", TOML, ""))
	for _, domain := range []string{"prod.example", "old.example", "partner.example"} {
		if err := engine.trust(domain, a.pem); err != nil {
			t.Fatal(err)
		}
	}
	shown := map[string]chain{"-": {}}
	requests, answers := read("requests.tsv"), read("answers.tsv")
	if len(requests) != len(answers) || len(requests) < 200 {
		t.Fatal(len(requests), "questions and", len(answers), "answers")
	}
	for at, line := range requests {
		field := strings.Split(line, "\t")
		if _, ok := shown[field[0]]; !ok {
			var made chain
			made.add(a.issue(field[0]).Certificate[0])
			shown[field[0]] = made
		}
		want := answers[at]
		if rest, ok := strings.CutPrefix(want, yes); ok {
			// A permit costs no allocation here: its rule is in the audit, and not kept.
			want = strings.TrimSuffix(want, rest)
		}
		if got := corpusAnswer(t, engine, shown[field[0]], field); got != want {
			t.Errorf("line %d: %s\n got %s\nwant %s", at+1, line, got, want)
		}
	}
}

func corpusAnswer(t *testing.T, engine *engine, from chain, field []string) string {
	absent := func(text string) string {
		if text == "-" {
			return ""
		}
		return text
	}
	port := must[uint64](t)(strconv.ParseUint(field[3], 10, 16))
	now := time.Now()
	flow, err := engine.connect(&connection{me: field[2], port: uint16(port), addr: absent(field[1]), chain: from}, now)
	if err != nil {
		return denialLine(t, err)
	}
	ask := &asked{}
	ask.request(field[4], field[5], "", http.Header{})
	if field[6] != "-" {
		ask.score = score(must[int](t)(strconv.Atoi(field[6])))
	}
	for _, pair := range strings.Split(absent(field[7]), "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			ask.add(name)
			ask.add(value)
		}
	}
	if _, err := engine.authorize(flow, ask, now); err != nil {
		return denialLine(t, err)
	}
	return yes
}

func denialLine(t *testing.T, err error) string {
	var denial *Denial
	if !errors.As(err, &denial) {
		t.Fatal(err)
	}
	rule := denial.Rule
	if rule == "" {
		rule = "-"
	}
	return strings.Join([]string{"deny", denial.Stage, denial.Reason.Error(), rule}, "\t")
}
