package ztl

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// judgedWithin is how long a running request has, from when it begins to be judged again, before it is cut (law 8).
const judgedWithin = time.Second

// judgedAtOnce is how many running requests are judged again at once: each may hold a thread while the library judges it.
const judgedAtOnce = 64

var errJudgedLate = &Error{Status: ErrSystem, Message: "a running request could not be judged again in time"}

// running is a request that is being served.
type running struct {
	again func() (time.Time, error)
	// stop ends its context, its reads and its writes. Not called once it was served: the writer is then another's, or gone.
	stop func(error)

	// judging is held from a judgement until its end is known, so that an older one never takes the place of a newer one.
	judging sync.Mutex

	mu    sync.Mutex
	over  bool
	alarm *alarm
}

// judge asks again whether it is permitted. A host's function that panics permits nothing.
func (r *running) judge() (expires time.Time, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("judging a running request again panicked: %v", panicked)
		}
	}()
	return r.again()
}

// renew judges it again, and cuts it where it is not permitted any more: the error says why, and is nil where there was nothing to cut.
// It says when it begins.
func (r *running) renew(g *Guard, begun chan<- struct{}) error {
	r.judging.Lock()
	defer r.judging.Unlock()
	// Who was cut or served while it was waited for is asked nothing, and has no further record.
	if r.ended() {
		return nil
	}
	close(begun)
	expires, err := r.judge()
	if err == nil {
		r.until(g, expires)
		return nil
	}
	if !r.cut(err) {
		return nil
	}
	return err
}

// renewInTime renews it, or cuts it where that takes too long. An earlier judgement that is waited for has a time of its own.
func (r *running) renewInTime(g *Guard) error {
	if r.ended() {
		return nil
	}
	begun, answer := make(chan struct{}), make(chan error, 1)
	go func() { answer <- r.renew(g, begun) }()
	late := time.NewTimer(judgedWithin)
	defer late.Stop()
	for begins := (<-chan struct{})(begun); ; {
		select {
		case err := <-answer:
			return err
		case <-begins:
			late.Reset(judgedWithin)
			begins = nil
		case <-late.C:
			if r.cut(errJudgedLate) {
				return errJudgedLate
			}
			return nil
		}
	}
}

func (r *running) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// cut says whether there was something to cut.
func (r *running) cut(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.close()
	r.stop(err)
	return true
}

func (r *running) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
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
// forgotten.
func (r *running) until(g *Guard, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.quiet()
	if expires.IsZero() {
		return
	}
	// Whole seconds: a permit that is judged again in its last one is not judged many times over.
	r.alarm = ringAt(expires, g.config.Now, 100*time.Millisecond, func() {
		for _, err := range g.renew([]*running{r}) {
			g.denied(err)
		}
	})
}

// renew judges requests again, many at once, and cuts those that are not permitted any more, or whose own judgement takes too long:
// one that waits for a host's function keeps no other alive for longer than that. It says why each was cut.
func (g *Guard) renew(requests []*running) []error {
	waiting := make(chan *running, len(requests))
	for _, request := range requests {
		waiting <- request
	}
	close(waiting)
	cuts := make(chan error, len(requests))
	var judges sync.WaitGroup
	for range min(judgedAtOnce, len(requests)) {
		judges.Add(1)
		go func() {
			defer judges.Done()
			for request := range waiting {
				if err := request.renewInTime(g); err != nil {
					cuts <- err
				}
			}
		}()
	}
	judges.Wait()
	close(cuts)
	var denials []error
	for err := range cuts {
		denials = append(denials, err)
	}
	return denials
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
