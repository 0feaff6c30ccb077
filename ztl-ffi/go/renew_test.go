package ztl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is asked of the host does not come back, and the second is one of the change's, for however many: whom nothing is asked about is
// judged first, and nobody waits for more than that.
func TestLaw8TheSecondIsThatOfTheChange(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	var told atomic.Int32
	config.OnDenial = func(error) { told.Add(1) }
	guard := a.guard(config)
	blocked := make(chan struct{})
	var asked, light, recorded atomic.Int32
	cuts := make(chan error, 1000)
	const heavy = 4 * judgedAtOnce
	for i := range heavy + 10 {
		request := newRunning(func(alone bool) (time.Time, error) {
			if i%16 == 0 && i < 160 {
				return time.Time{}, NoActionPermitted
			}
			if alone {
				return time.Time{}, errWaits
			}
			if asked.Add(1); light.Load() != 10 {
				t.Error("the host was asked while", light.Load(), "were cut")
			}
			<-blocked
			return time.Time{}, nil
		}, func(err error) {
			if errors.Is(err, NoActionPermitted) {
				light.Add(1)
			}
			cuts <- err
		})
		request.late = func() error { recorded.Add(1); return errJudgedLate }
		guard.start(request)
	}
	swap := func() {
		t.Helper()
		begun := time.Now()
		if err := guard.Swap([]byte(policy)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > judgedWithin+500*time.Millisecond {
			t.Error("it took", took)
		}
	}
	swap()
	late := 0
	for range heavy + 10 {
		if errors.Is(<-cuts, errJudgedLate) {
			late++
		}
	}
	if late != heavy || recorded.Load() != heavy || told.Load() != heavy+10 || asked.Load() != judgedAtOnce {
		t.Error(late, recorded.Load(), told.Load(), asked.Load())
	}
	// Those calls keep their places: of another one nothing is asked, and it ends in time.
	other := newRunning(func(alone bool) (time.Time, error) {
		if !alone {
			t.Error("asked")
		}
		return time.Time{}, errWaits
	}, func(err error) { cuts <- err })
	guard.start(other)
	swap()
	if err := <-cuts; !errors.Is(err, errJudgedLate) {
		t.Error(err)
	}
	// They came back: there is room again.
	close(blocked)
	for range judgedAtOnce {
		guard.judges <- struct{}{}
	}
	for range judgedAtOnce {
		<-guard.judges
	}
	again := newRunning(func(alone bool) (time.Time, error) {
		if alone {
			return time.Time{}, errWaits
		}
		return time.Time{}, Forbidden
	}, func(err error) { cuts <- err })
	guard.start(again)
	swap()
	if err := <-cuts; !errors.Is(err, Forbidden) {
		t.Error(err)
	}
	// A guard that was closed asks nobody.
	closed := a.guard(a.config("model-server"))
	closed.start(newRunning(func(bool) (time.Time, error) {
		t.Error("asked")
		return time.Time{}, nil
	}, func(err error) { cuts <- err }))
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-cuts; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// Who waits for its turn in time is not late, and an end of a permit has no more places than a change.
func TestLaw8ManyThatAreStillPermittedRunOn(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	var asked, at, most atomic.Int32
	var ends sync.WaitGroup
	for i := range 3 * judgedAtOnce {
		request := newRunning(nil, func(err error) { t.Error("cut:", err) })
		ends.Add(1)
		request.again = func(alone bool) (time.Time, error) {
			if alone {
				return time.Time{}, errWaits
			}
			asked.Add(1)
			if now := at.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(judgedWithin / 6)
			at.Add(-1)
			ends.Done()
			return time.Time{}, nil
		}
		if i%3 == 0 {
			// Its alarm asks for it.
			request.until(guard, time.Now(), 0)
		} else {
			guard.start(request)
			defer guard.end(request)
		}
	}
	if err := guard.Swap([]byte(policy)); err != nil {
		t.Fatal(err)
	}
	ends.Wait()
	if asked.Load() != 3*judgedAtOnce || most.Load() > judgedAtOnce {
		t.Error(asked.Load(), "were judged,", most.Load(), "at once")
	}
}

// Nobody is proved by an overdue list any more, and so nothing goes on that was.
func TestT25AnOverdueRevocationListEndsWhatRuns(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	var ahead atomic.Int64
	config.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	config.CRLs = map[string][]byte{"prod.example": a.revokes(10 * time.Minute)}
	guard := a.guard(config)
	ctx, end, err := guard.Begin(a.request(a.issue(id("router")), "GET", "/v1/live"))
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	ahead.Store(int64(11 * time.Minute))
	select {
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDenied) {
			t.Error(cause)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it runs on")
	}
}

// Two changes at once: one judgement that began after both is that of both, and nobody is cut for it.
func TestLaw8AJudgementThatBeganLaterCounts(t *testing.T) {
	a := newAuthority(t)
	guard := a.guard(a.config("model-server"))
	var asked atomic.Int32
	request := newRunning(func(bool) (time.Time, error) {
		asked.Add(1)
		return time.Time{}, nil
	}, func(err error) { t.Error("cut:", err) })
	one, two := request.wants(), request.wants()
	if one.done() || two.done() || !one.renewAlone(guard) || !two.renewAlone(guard) || !one.done() || !two.done() {
		t.Error("it was judged")
	}
	if three := request.wants(); three.done() || asked.Load() != 1 {
		t.Error("asked", asked.Load(), "times")
	}
}

// Who is proved anew and is nobody any more is denied at the stage of identity, with an id like any other.
func TestLaw6ADenialOfAnIdentityIsFoundByItsID(t *testing.T) {
	a := newAuthority(t)
	config := a.config("model-server")
	config.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	guard := a.guard(config)
	request := a.request(a.issue(id("router")), "GET", "/v1/who")
	_, end, err := guard.Begin(request)
	if err != nil {
		t.Fatal(err)
	}
	end()
	if err := guard.SetCRLs("prod.example", a.revocations()); err != nil {
		t.Fatal(err)
	}
	_, _, err = guard.Begin(request)
	var denial *Denial
	if !errors.As(err, &denial) || denial.Reason != IdentityRevoked || denial.Stage != "identity" {
		t.Fatal(err)
	}
	recorded := must[[]byte](t)(os.ReadFile(config.AuditFile))
	if !strings.Contains(string(recorded), `"id":"`+denial.Decision()+`"`) {
		t.Error(denial.Decision(), "is not in", string(recorded))
	}
}
