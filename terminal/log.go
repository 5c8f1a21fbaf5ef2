package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// refresh is how often the live line is drawn again.
const refresh = 200 * time.Millisecond

// Log shows steps that may run at the same time: those that run in one live line on a terminal, those that ended in a
// line each. A nil *Log shows nothing, so that callers need not check.
type Log struct {
	mu     sync.Mutex
	w      io.Writer
	live   *block // nil if w is no terminal
	active []*Step
	stop   chan struct{} // closed to end the redrawing; nil while nothing is active
}

// Step is one thing that takes time.
type Step struct {
	log    *Log
	name   string
	detail string
	start  time.Time
}

// NewLog returns a log that writes to w. The live line is used when w is a terminal.
func NewLog(w io.Writer) *Log {
	l := &Log{w: w}
	if Is(w) {
		l.live = newBlock(w)
	}
	return l
}

// Printf writes one line that stays.
func (l *Log) Printf(format string, args ...any) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(fmt.Sprintf(format, args...))
}

// Start begins a step. what is shown with it: in a pipe once, now, if it is not empty.
func (l *Log) Start(name, what string) *Step {
	if l == nil {
		return nil
	}
	s := &Step{log: l, name: name, detail: what, start: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active = append(l.active, s)
	switch {
	case l.live == nil && what != "":
		l.line(fmt.Sprintf("%-9s %s …", name, what))
	case l.live != nil:
		l.draw("")
		if l.stop == nil {
			l.stop = make(chan struct{})
			go l.animate(l.stop)
		}
	}
	return s
}

// Detail changes what is shown with a running step. In a pipe it shows nothing.
func (s *Step) Detail(format string, args ...any) {
	if s == nil {
		return
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.detail = fmt.Sprintf(format, args...)
}

// Done ends the step with a line that stays, followed by the time that it took.
func (s *Step) Done(format string, args ...any) {
	if s == nil {
		return
	}
	s.end(fmt.Sprintf("%-9s %s (%s)", s.name, fmt.Sprintf(format, args...), spoken(time.Since(s.start))))
}

// Fail ends the step that err stopped. The error itself is for the caller to print.
func (s *Step) Fail(err error) {
	if s == nil || err == nil {
		return
	}
	s.end(fmt.Sprintf("%-9s failed after %s", s.name, spoken(time.Since(s.start))))
}

func (s *Step) end(text string) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.active {
		if a == s {
			l.active = append(l.active[:i], l.active[i+1:]...)
			l.line(text)
			break
		}
	}
	if len(l.active) == 0 && l.stop != nil {
		close(l.stop)
		l.stop = nil
	}
}

// line writes a line above the live one. l.mu is held.
func (l *Log) line(text string) {
	if l.live == nil {
		fmt.Fprintln(l.w, text)
		return
	}
	l.draw(text + "\n")
}

// draw draws the live line, below what stays.
func (l *Log) draw(above string) {
	var parts []string
	for _, s := range l.active {
		parts = append(parts, oneLine(fmt.Sprintf("%s %s %s", s.name, s.detail, spoken(time.Since(s.start)))))
	}
	var lines []string
	if len(parts) > 0 {
		lines = []string{strings.Join(parts, " · ")}
	}
	l.live.draw(above, lines)
}

func (l *Log) animate(stop chan struct{}) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			l.mu.Lock()
			if l.stop == stop {
				l.draw("")
			}
			l.mu.Unlock()
		}
	}
}
