package progress

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Recorder runs steps, times them and tells an observer. The zero value tells nobody.
type Recorder struct {
	observer Observer // may be nil
	mu       sync.Mutex
	timings  []Timing
}

// NewRecorder returns a recorder that tells observer, which may be nil.
func NewRecorder(observer Observer) *Recorder { return &Recorder{observer: observer} }

// Outcome is what a step reports: what it did, and whether there was anything to do.
type Outcome struct {
	Detail string // for people
	Idle   bool   // there was nothing to do
}

// Did is the outcome of a step that did something.
func Did(detail string) Outcome { return Outcome{Detail: detail} }

// Nothing is the outcome of a step that had nothing to do.
func Nothing(detail string) Outcome { return Outcome{Detail: detail, Idle: true} }

// Waits tells that something is waited for, in words for people. It fits patience.WithTeller.
func (r *Recorder) Waits(text string) { r.tell(Progress{State: Waiting, Detail: text}) }

// Timings returns how long each step took that ended so far, in the order in which they ended.
func (r *Recorder) Timings() []Timing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Timing(nil), r.timings...)
}

// Expect announces a step that will be done for functions.
func (r *Recorder) Expect(step Step, functions []string) {
	for _, function := range functions {
		r.tell(Progress{Function: function, Step: step, State: Pending})
	}
}

// Step runs f as a step of function, "" for all functions together. tell reports what the step is doing meanwhile. The
// error is that of f.
func (r *Recorder) Step(function string, step Step, f func(tell func(string)) (Outcome, error)) error {
	p := Progress{Function: function, Step: step, State: Active}
	r.tell(p)
	begin := time.Now()
	last := ""
	o, err := f(func(detail string) {
		if detail != last {
			last = detail
			r.tell(Progress{Function: function, Step: step, State: Active, Detail: detail})
		}
	})
	p.State, p.Detail, p.Duration, p.Err = Done, o.Detail, time.Since(begin), err
	switch {
	case err != nil:
		p.State = Failed
		p.Detail, _, _ = strings.Cut(err.Error(), "\n")
	case o.Idle:
		p.State = Skipped
	}
	r.tell(p)
	return err
}

// Each runs a step for several functions, some at the same time, and returns the errors of all, by name: users fix
// several problems at once. f must be safe for calls with different functions.
func (r *Recorder) Each(step Step, functions []string, f func(function string, tell func(string)) (Outcome, error)) error {
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel(step))
	for _, function := range functions {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			err := r.Step(function, step, func(tell func(string)) (Outcome, error) { return f(function, tell) })
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[function] = fmt.Errorf("%s %s: %w", step, function, err)
			}
		}()
	}
	wg.Wait()
	var list []error
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		list = append(list, errs[name])
	}
	return errors.Join(list...)
}

// parallel is how many functions a step works on at the same time. Describing uses a processor each, the other steps
// wait for the same few servers.
func parallel(step Step) int {
	if step == StepDescribe {
		return runtime.GOMAXPROCS(0)
	}
	return 4
}

func (r *Recorder) tell(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.State == Done || p.State == Skipped || p.State == Failed {
		r.timings = append(r.timings, Timing{p.Function, p.Step, p.State, p.Duration})
	}
	if r.observer != nil {
		r.observer.Observe(p)
	}
}
