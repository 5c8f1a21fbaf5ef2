package limits

import (
	"strings"
	"sync"
	"testing"
)

func TestMemory(t *testing.T) {
	idle := 1
	var m *Memory
	m = NewMemory(100, func() bool {
		idle--
		if idle < 0 {
			return false
		}
		m.Give(30)
		return true
	})
	for _, step := range []struct {
		what             string
		do               func() bool
		want             bool
		used, peak, idle int64
	}{
		{"a part", func() bool { return m.Take(40) }, true, 40, 40, 1},
		{"the rest", func() bool { return m.Take(60) }, true, 100, 100, 1},
		{"what an idle sandbox held", func() bool { return m.Take(20) }, true, 90, 100, 0},
		{"too much", func() bool { return m.Take(11) }, false, 90, 100, -1},
		{"a process that grew", func() bool { return m.Book(20) }, false, 110, 110, -1},
		{"a process that shrank", func() bool { return m.Book(-60) }, true, 50, 110, -1},
	} {
		if got := step.do(); got != step.want || m.Used() != step.used || m.Peak() != step.peak || idle != int(step.idle) {
			t.Errorf("%s: %v, used %d, peak %d, idle %d; want %+v", step.what, got, m.Used(), m.Peak(), idle, step)
		}
	}
}

func TestMemoryOfManyAtOnce(t *testing.T) {
	m := NewMemory(10, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 1000 {
				if m.Take(3) {
					m.Give(3)
				}
			}
		})
	}
	wg.Wait()
	if m.Used() != 0 || m.Peak() < 3 || m.Peak() > m.Limit() {
		t.Errorf("used %d, peak %d of %d", m.Used(), m.Peak(), m.Limit())
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		limits               Limits
		target               int
		places, ready        int
		collect, mappedBytes int64
	}{
		{Limits{}, 0, 1, 1, 0, 256 << 20},
		{Limits{Memory: 64 << 20, Concurrency: 8}, 8, 8, 4, 60397974, 320 << 20},
		{Limits{Memory: 48 << 20, Concurrency: 8}, 8, 8, 3, 45298476, 304 << 20},
		{Limits{Memory: 1 << 30, Concurrency: 8}, 2, 8, 2, 966367638, 1280 << 20},
	} {
		l := tt.limits
		if l.Places() != tt.places || l.Ready(tt.target) != tt.ready || l.Collect() != tt.collect ||
			l.Mapped() != tt.mappedBytes {
			t.Errorf("%+v: %d places, %d ready, collect %d, mapped %d; want %+v", l, l.Places(), l.Ready(tt.target),
				l.Collect(), l.Mapped(), tt)
		}
	}
}

func TestClip(t *testing.T) {
	if got := Clip("a\xffb"); got != "a\uFFFDb" {
		t.Errorf("got %q", got)
	}
	if got := Clip(strings.Repeat("x", Message+1)); len(got) != Message {
		t.Errorf("%d bytes are left", len(got))
	}
}
