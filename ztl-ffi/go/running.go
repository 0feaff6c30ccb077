package ztl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// judgedWithin is how long a running request has to be judged again before it is cut, waiting included, from when something changed or
// its permit ended: what law 8 gives, less what it takes to cut.
const judgedWithin = 900 * time.Millisecond

// judgedAtOnce is how many running requests of a guard are judged again at once that the host has to be asked about.
const judgedAtOnce = 64

var errJudgedLate = &Error{Status: ErrSystem, Message: "a running request could not be judged again in time"}

// errWaits says that somebody would have to be waited for.
var errWaits = errors.New("somebody has to be waited for")

// running is a request that is being served.
type running struct {
	// again judges it; alone it waits for nobody, and is errWaits where it would have to.
	again func(alone bool) (time.Time, error)
	// stop ends its context, its reads and its writes. Not called once it was served: the writer is then another's, or gone.
	stop func(error)
	// late records that nobody judged it in time, and says so. It may be nil.
	late func() error

	// turn is held from a judgement until its end is known, so that an older one never takes the place of a newer one.
	turn chan struct{}
	// served says that the handler may have it, and passes which fields it then sees that pass an id on; both under its turn.
	served bool
	passes reads
	// token is that of the request, until that was served; under its turn as well, once it is registered.
	token *token

	mu    sync.Mutex
	over  bool
	alarm *alarm
	// asked counts how often it was to be judged again, and judged says up to which of them it was.
	asked, judged uint64
	// cause is why it was cut, until somebody takes it to tell the host.
	cause error
}

func newRunning(again func(alone bool) (time.Time, error), stop func(error)) *running {
	return &running{again: again, stop: stop, turn: make(chan struct{}, 1)}
}

// judge asks again whether it is permitted, under its turn. What panics permits nothing.
func (r *running) judge(alone bool) (expires time.Time, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("judging a running request again panicked: %v", panicked)
		}
	}()
	return r.again(alone)
}

// renew judges it again under its turn, and cuts it where it is not permitted any more. False where somebody would have to be waited
// for. Of who was cut or served nothing is asked, and nothing further recorded.
func (r *running) renew(g *Guard, alone bool) bool {
	asked, over := r.asks()
	if over {
		return true
	}
	expires, err := r.judge(alone)
	switch {
	case err == nil:
		r.until(g, expires, asked)
	case errors.Is(err, errWaits):
		return false
	default:
		r.cut(err)
	}
	return true
}

func (r *running) ended() bool {
	_, over := r.asks()
	return over
}

// asks is how often it was to be judged again, and whether it is over.
func (r *running) asks() (asked uint64, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked, r.over
}

// cut says whether there was something to cut.
func (r *running) cut(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.cause = err
	r.close()
	r.stop(err)
	return true
}

// told is why it was cut, once: for whoever asks first, and then tells the host. nil where it was not.
func (r *running) told() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	cause := r.cause
	r.cause = nil
	return cause
}

// end says whether it ran until then.
func (r *running) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ran := !r.over
	r.close()
	return ran
}

// letGo frees what the library holds of it, once it is over. Where somebody still judges it, that goes with the rest of it.
func (r *running) letGo() {
	select {
	case r.turn <- struct{}{}:
		r.token.free()
		<-r.turn
	default:
	}
}

func (r *running) close() {
	r.over = true
	r.quiet()
}

func (r *running) quiet() {
	if r.alarm != nil {
		r.alarm.stop()
		r.alarm = nil
	}
}

// until has it judged when its permit ends, and again when the permit that it then got ends (T15). The end that was known before is
// forgotten. False where it was over before.
func (r *running) until(g *Guard, expires time.Time, asked uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.judged = asked
	r.quiet()
	if expires.IsZero() {
		return true
	}
	// Whole seconds: a permit that is judged again in its last one is not judged many times over.
	r.alarm = ringAt(expires, g.config.Now, 100*time.Millisecond, func() {
		for _, err := range g.renew([]*running{r}) {
			g.denied(err)
		}
	})
	return true
}

// wanted is a request that is to be judged by somebody who begins after this was made.
type wanted struct {
	*running
	number uint64
}

func (r *running) wants() wanted {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return wanted{r, r.asked}
}

// done says whether it was, or is over.
func (w wanted) done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over || w.judged >= w.number
}

// renewAlone is false where somebody would have to be waited for.
func (w wanted) renewAlone(g *Guard) bool {
	select {
	case w.turn <- struct{}{}:
	default:
		// Somebody judges it, and may have begun before.
		return false
	}
	defer func() { <-w.turn }()
	return w.done() || w.renew(g, true)
}

// renewInTurn waits for whoever judges it already and for its place among all that the host is asked about. A call of the host's that
// does not come back keeps its place.
func (w wanted) renewInTurn(ctx context.Context, g *Guard) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-w.turn }()
	select {
	case g.judges <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-g.judges }()
	if !w.done() {
		w.renew(g, false)
	}
}

// renew judges requests again, and cuts those that are not permitted any more, or could not be judged in time. It says why each was cut.
//
//  1. All have one end, whoever else is waited for.
//  2. First all about whom the host need not be asked: their judgement takes microseconds. Then the others, so many at once.
func (g *Guard) renew(requests []*running) []error {
	ctx, cancel := context.WithTimeout(context.Background(), judgedWithin)
	defer cancel()
	all := make([]wanted, len(requests))
	for i, request := range requests {
		all[i] = request.wants()
	}
	through := make(chan struct{})
	go func() {
		defer close(through)
		var mu sync.Mutex
		var waiting []wanted
		each(ctx, all, runtime.GOMAXPROCS(0), func(one wanted) {
			if !one.renewAlone(g) {
				mu.Lock()
				waiting = append(waiting, one)
				mu.Unlock()
			}
		})
		each(ctx, waiting, judgedAtOnce, func(one wanted) { one.renewInTurn(ctx, g) })
	}()
	select {
	case <-through:
	case <-ctx.Done():
	}
	for _, one := range all {
		if !one.done() {
			one.cut(errJudgedLate)
		}
	}
	// All are cut before anything is recorded of it, or told: that may take its time.
	var cuts []error
	for _, one := range all {
		err := one.told()
		if errors.Is(err, errJudgedLate) && one.late != nil {
			err = one.late()
		}
		if err != nil {
			cuts = append(cuts, err)
		}
	}
	return cuts
}

// each does something with all of them, so many at once. What was not begun when the context ends is not begun.
func each(ctx context.Context, all []wanted, atOnce int, do func(wanted)) {
	next := make(chan wanted, len(all))
	for _, one := range all {
		next <- one
	}
	close(next)
	var workers sync.WaitGroup
	for range min(atOnce, len(all)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for one := range next {
				if ctx.Err() != nil {
					return
				}
				do(one)
			}
		}()
	}
	workers.Wait()
}

// asItCame is a request as it is judged while a handler has it, who may change its own.
func asItCame(r *http.Request) *http.Request {
	came := new(http.Request)
	*came = *r
	came.Header = r.Header.Clone()
	if r.URL != nil {
		at := *r.URL
		came.URL = &at
	}
	return came
}
