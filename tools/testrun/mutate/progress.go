package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// progress prints mutants that were not killed as they come; on a terminal, also how far it is, in one line that is
// written over.
type progress struct {
	w    io.Writer
	live bool
	all  int

	mu      sync.Mutex // guards w, and what follows
	done    int
	running []string
	bad     map[state]int
}

// clearLine goes to the start of the line and clears it (ECMA-48: CR, EL).
const clearLine = "\r\x1b[K"

// says shows what is going on.
func (p *progress) says(text string) {
	if p.live {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprint(p.w, clearLine+text)
	}
}

func (p *progress) begins(c check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, c.name)
	p.show()
}

func (p *progress) ended(v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = slices.DeleteFunc(p.running, func(name string) bool { return name == v.check.name })
	p.done++
	if v.state != killed {
		if p.bad == nil {
			p.bad = map[state]int{}
		}
		p.bad[v.state]++
		if p.live {
			fmt.Fprint(p.w, clearLine)
		}
		fmt.Fprintf(p.w, "%-8s  %s (%s): %s\n", v.state, v.check.name, v.check.where, v.detail)
	}
	p.show()
}

func (p *progress) show() {
	if p.live {
		const most = 100
		line := fmt.Sprintf("%d of %d: %s", p.done, p.all, strings.Join(p.running, ", "))
		fmt.Fprint(p.w, clearLine+line[:min(len(line), most)])
	}
}

func (p *progress) clear() { p.says("") }

// end prints the result and tells whether every mutant that was judged was killed. of says which checks were taken, and
// left what was not begun of them, "" if all were.
func (p *progress) end(of, left string, took time.Duration) bool {
	took = took.Round(100 * time.Millisecond)
	if left != "" {
		fmt.Fprintln(p.w, left)
	}
	switch {
	case len(p.bad) > 0:
		fmt.Fprintf(p.w, "FAIL\t%d of %d mutants survived, %d are broken, %s\n", p.bad[survived], p.all, p.bad[broken], took)
		return false
	case left != "":
		fmt.Fprintf(p.w, "ok  \t%d of %d mutants were judged, and killed (%s), %s\n", p.done, p.all, of, took)
	default:
		fmt.Fprintf(p.w, "ok  \tall of %d mutants were killed (%s), %s\n", p.all, of, took)
	}
	return true
}
