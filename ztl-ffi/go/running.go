package ztl

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// running is a request that is being served.
type running struct {
	again func() (time.Time, error)
	// stop ends its context, its reads and its writes. Not called once it was served: the writer is then another's, or gone.
	stop func(error)

	mu    sync.Mutex
	over  bool
	timer *time.Timer
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
	if r.timer != nil {
		r.timer.Stop()
	}
}

// until has it judged when its permit ends, and again when the permit that it then got ends (T15).
func (r *running) until(g *Guard, expires time.Time) {
	if expires.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	// Whole seconds: a permit that is judged again in its last one is not judged many times over.
	r.timer = time.AfterFunc(max(expires.Sub(g.config.Now()), 100*time.Millisecond), func() {
		expires, err := r.judge()
		if err == nil {
			r.until(g, expires)
		} else if r.cut(err) {
			g.denied(err)
		}
	})
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
