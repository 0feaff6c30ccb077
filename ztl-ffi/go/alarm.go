package ztl

import (
	"sync"
	"time"
)

// step is how long a timer runs before the clock is looked at: a timer sleeps with the machine, and knows nothing of a clock that
// is set (T23).
const step = time.Second

// alarm rings once, when the wall clock says so.
type alarm struct {
	when time.Time
	now  func() time.Time
	do   func()

	mu    sync.Mutex
	over  bool
	timer *time.Timer
}

// ringAt has something done at a time, but not before `least` has passed.
func ringAt(when time.Time, now func() time.Time, least time.Duration, do func()) *alarm {
	// Without what Go knows of the monotonic clock.
	a := &alarm{when: when.Round(0), now: now, do: do}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(min(max(a.left(), least), step), a.look)
	return a
}

func (a *alarm) left() time.Duration { return a.when.Sub(a.now().Round(0)) }

func (a *alarm) look() {
	left := a.left()
	a.mu.Lock()
	if a.over {
		a.mu.Unlock()
		return
	}
	if left > 0 {
		a.timer = time.AfterFunc(min(left, step), a.look)
		a.mu.Unlock()
		return
	}
	a.over = true
	a.mu.Unlock()
	a.do()
}

// stop keeps it from ringing, if it has not.
func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.timer.Stop()
}
