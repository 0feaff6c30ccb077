package ztl

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The questions that every language is asked, by callers who show certificates.
func TestCorpusHasTheSameAnswersHere(t *testing.T) { newCorpus(t).isAnswered("../tests/corpus", 200) }

// The same, ten thousand of them. ZTL_CORPUS is the folder in which the tests of C have written them.
func TestTenThousandQuestionsHaveTheSameAnswersHere(t *testing.T) {
	folder := os.Getenv("ZTL_CORPUS")
	if folder == "" {
		t.Skip("ZTL_CORPUS names no folder of questions: see ../tests/corpus/README.md")
	}
	newCorpus(t).isAnswered(folder, 8000)
}

// corpus is an engine that is asked, by whom and with which tokens.
type corpus struct {
	*testing.T
	engine *engine
	audit  string
	shown  func(id string) chain
	// token is one that says this.
	token func(claims string) string
}

func newCorpus(t *testing.T) *corpus {
	a := newAuthority(t)
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	policy := must[[]byte](t)(os.ReadFile("../tests/corpus/policy.toml"))
	engine := must[*engine](t)(newEngine(policy, "", TOML, audit))
	t.Cleanup(engine.close)
	for _, domain := range []string{"prod.example", "old.example", "partner.example", "elsewhere.example"} {
		if err := engine.trust(domain, a.pem); err != nil {
			t.Fatal(err)
		}
	}
	chains := map[string]chain{"-": {}}
	shown := func(id string) chain {
		if _, ok := chains[id]; !ok {
			var made chain
			made.add(a.issue(id).Certificate[0])
			chains[id] = made
		}
		return chains[id]
	}
	tokens := map[string]string{}
	var sign func(map[string]any) string
	token := func(claims string) string {
		if sign == nil {
			var issuer Issuer
			issuer, sign = issuerOf(t)
			issuer.Name, issuer.Iss, issuer.Audience = "corp", "https://login.corp.example", "corpus"
			if err := engine.issuer(issuer); errors.Is(err, ErrUnsupported) {
				withoutTokens(t)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if tokens[claims] == "" {
			said := map[string]any{"exp": time.Now().Add(time.Hour).Unix()}
			if err := json.Unmarshal([]byte(claims), &said); err != nil {
				t.Fatal(err)
			}
			tokens[claims] = sign(said)
		}
		return tokens[claims]
	}
	return &corpus{t, engine, audit, shown, token}
}

// isAnswered asks all of a folder that can be asked here, which has to be so many.
func (c *corpus) isAnswered(folder string, least int) {
	c.Helper()
	read := func(name string) []string {
		text := must[[]byte](c)(os.ReadFile(filepath.Join(folder, name)))
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	requests, answers := read("requests.tsv"), read("answers.tsv")
	if len(requests) != len(answers) {
		c.Fatal(len(requests), "questions and", len(answers), "answers")
	}
	asked := 0
	// A permit costs no allocation here: its rule is in the audit, and not kept.
	var permitted, rules []string
	for at, line := range requests {
		field := strings.Split(line, "\t")
		if len(field) == 8 {
			field = append(field, "-", "-")
		}
		if field[8] == "public" || field[8] == "connect" {
			continue
		}
		asked++
		want := answers[at]
		if rule, ok := strings.CutPrefix(want, yes); ok {
			permitted, rules, want = append(permitted, line), append(rules, rule), yes
		}
		if got := c.answer(field); got != want {
			c.Errorf("line %d: %s\n got %s\nwant %s", at+1, line, got, want)
		}
	}
	if asked < least {
		c.Error(asked, "questions were asked")
	}
	var recorded []string
	for _, one := range records(c, c.audit, "action") {
		if one.Verdict == "permit" {
			recorded = append(recorded, one.Rule)
		}
	}
	if len(recorded) != len(rules) {
		c.Fatal(len(recorded), "permits are recorded, and", len(rules), "were given")
	}
	for at, rule := range rules {
		if recorded[at] != rule {
			c.Errorf("%s\n got %s\nwant %s", permitted[at], recorded[at], rule)
		}
	}
}

const yes = "permit\taction\tpermitted\t"

func (c *corpus) answer(field []string) string {
	absent := func(text string) string {
		if text == "-" {
			return ""
		}
		return text
	}
	port := must[uint64](c)(strconv.ParseUint(field[3], 10, 16))
	now := time.Now()
	me, to, egress := strings.Cut(field[2], ">")
	flow, err := c.engine.connect(&connection{
		me: me, port: uint16(port), addr: absent(field[1]), to: to, egress: egress, chain: c.shown(field[0]),
	}, now)
	if err != nil {
		return denialLine(c.T, err)
	}
	ask := &asked{}
	ask.request(field[4], field[5], "", http.Header{})
	if field[6] != "-" {
		ask.score = score(must[int](c)(strconv.Atoi(field[6])))
	}
	for _, pair := range strings.Split(absent(field[7]), "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			ask.add(name)
			ask.add(value)
		}
	}
	if field[9] != "-" {
		ask.claims = must[*claims](c)(c.engine.verify(flow, c.token(field[9]), now))
		defer ask.claims.free()
	}
	if _, err := c.engine.authorize(flow, ask, now); err != nil {
		return denialLine(c.T, err)
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
