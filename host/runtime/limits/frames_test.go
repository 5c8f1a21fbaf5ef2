package limits

import (
	"sync"
	"testing"
)

func TestFrames(t *testing.T) {
	m := NewMemory(6400, nil)
	f := NewFrames(m)
	for _, step := range []struct {
		what              string
		do                func() bool
		want              bool
		used, spare, peak int64
	}{
		{"nothing", func() bool { return true }, true, 100, 100, 100},
		{"within the share", func() bool { return f.Take(60) }, true, 100, 40, 100},
		{"sandboxes take the rest", func() bool { return m.Take(6300) }, true, 6400, 40, 6400},
		{"the rest of the share", func() bool { return f.Take(40) }, true, 6400, 0, 6400},
		{"beyond it, with nothing free", func() bool { return f.Take(1) }, false, 6400, 0, 6400},
		{"what must be held", func() bool { f.Book(1); f.Give(1); return true }, true, 6400, 0, 6401},
		{"sandboxes end", func() bool { m.Give(6300); return true }, true, 100, 0, 6401},
		{"beyond it", func() bool { return f.Take(50) }, true, 150, 0, 6401},
		{"more than there is", func() bool { return f.Take(6251) }, false, 150, 0, 6401},
		{"all given back", func() bool { f.Give(150); return true }, true, 100, 100, 6401},
		{"closed", func() bool { f.Close(); f.Close(); return true }, true, 0, 0, 6401},
	} {
		if got := step.do(); got != step.want || m.Used() != step.used || f.Spare() != step.spare || m.Peak() != step.peak {
			t.Errorf("%s: %v, used %d, spare %d, peak %d; want %+v", step.what, got, m.Used(), f.Spare(), m.Peak(), step)
		}
	}
}

func TestFramesOfManyAtOnce(t *testing.T) {
	m := NewMemory(640, nil)
	f := NewFrames(m)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 1000 {
				if f.Take(30) {
					f.Give(30)
				}
			}
		})
	}
	wg.Wait()
	if f.Close(); m.Used() != 0 || m.Peak() > m.Limit() {
		t.Errorf("used %d, peak %d of %d", m.Used(), m.Peak(), m.Limit())
	}
}
