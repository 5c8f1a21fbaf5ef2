// Package terminal tells a person what several long steps are doing: one live line on a terminal, one line per event
// in a pipe. It owns the words and the screen; it must not know what the steps are.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// refresh is how often the live line is drawn again.
const refresh = 200 * time.Millisecond

// Log shows steps that may run at the same time. A nil *Log shows nothing, so that callers need not check.
type Log struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns of the terminal; nil in a pipe
	active []*Step
	drawn  bool
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
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		l.width = func() int {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 20 {
				return n
			}
			return 80
		}
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
	case l.width == nil && what != "":
		l.line(fmt.Sprintf("%-9s %s …", name, what))
	case l.width != nil:
		l.draw()
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

// Elapsed is the time since the step began.
func (s *Step) Elapsed() time.Duration {
	if s == nil {
		return 0
	}
	return time.Since(s.start)
}

// Done ends the step with a line that stays, followed by the time that it took.
func (s *Step) Done(format string, args ...any) {
	if s == nil {
		return
	}
	s.end(fmt.Sprintf("%-9s %s (%s)", s.name, fmt.Sprintf(format, args...), short(time.Since(s.start))))
}

// Fail ends the step that err stopped. The error itself is for the caller to print.
func (s *Step) Fail(err error) {
	if s == nil || err == nil {
		return
	}
	s.end(fmt.Sprintf("%-9s failed after %s", s.name, short(time.Since(s.start))))
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
	l.erase()
	fmt.Fprintln(l.w, text)
	l.draw()
}

func (l *Log) erase() {
	if l.drawn {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.drawn = false
	}
}

func (l *Log) draw() {
	if l.width == nil || len(l.active) == 0 {
		return
	}
	parts := make([]string, len(l.active))
	for i, s := range l.active {
		parts[i] = strings.TrimSpace(fmt.Sprintf("%s %s %s", s.name, s.detail, short(time.Since(s.start))))
	}
	text := []rune(strings.Join(parts, " · "))
	if limit := l.width() - 1; len(text) > limit {
		text = append(text[:limit-1], '…')
	}
	l.erase()
	fmt.Fprint(l.w, string(text))
	l.drawn = true
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
				l.draw()
			}
			l.mu.Unlock()
		}
	}
}

// short prints a duration the way people say it: 0.4 s, 12 s, 5 min 25 s.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}
