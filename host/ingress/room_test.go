package ingress

import (
	"fmt"
	"slices"
	"testing"
)

func TestRoomIsKeptForHosts(t *testing.T) {
	for n, outside := range map[int64]int{1: 1, 2: 2, 4: 3, 8: 6, 1024: 768} {
		r := newRoom(n)
		got := 0
		for r.take(1, false) {
			got++
		}
		hosts := 0
		for r.take(1, true) {
			hosts++
		}
		if got != outside || hosts != int(n)-outside {
			t.Errorf("of %d, %d were taken from outside, then %d by hosts; want %d", n, got, hosts, outside)
		}
		r.give(1, true)
		if n > 1 && r.take(1, false) && outside < int(n) {
			t.Errorf("of %d, what a host gave back is taken from outside", n)
		}
	}
	r := newRoom(4)
	for range 4 {
		if !r.take(1, true) {
			t.Fatal("hosts may take all")
		}
	}
	if r.take(1, false) {
		t.Error("there is none left")
	}
	r.give(1, true)
	if !r.take(1, false) || r.take(1, false) {
		t.Error("a refusal takes something")
	}
	r.give(1, false)
	if !r.take(1, false) {
		t.Error("what was given back can't be taken again")
	}
}

func TestSources(t *testing.T) {
	same := func(a, b string) bool { return sourceOf(a) == sourceOf(b) }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1:1", "10.0.0.1:2", true},
		{"10.0.0.1:1", "10.0.0.2:1", false},
		{"10.0.0.1:1", "[::ffff:10.0.0.1]:1", true},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"", "@", true},
		{"", "10.0.0.1:1", false},
	} {
		if same(c.a, c.b) != c.same {
			t.Errorf("%q and %q: %v and %v", c.a, c.b, sourceOf(c.a), sourceOf(c.b))
		}
	}
	s := newShares(2)
	a, b := sourceOf("10.0.0.1:1"), sourceOf("10.0.0.2:1")
	for i, from := range []source{a, a, a, b} {
		if got := s.take(from); got != (i != 2) {
			t.Errorf("take %d: %t; each source has a share of two", i, got)
		}
	}
	s.give(a)
	for i := range 2 {
		if got := s.take(a); got != (i == 0) {
			t.Errorf("%t; what is given back can be taken again, once", got)
		}
	}
	s.give(a)
	s.give(a)
	s.give(b)
	if len(s.taken) != 0 {
		t.Errorf("%d sources are remembered", len(s.taken))
	}
}

// held is a connection that tells whether it was closed.
type held struct {
	name   string
	closed bool
}

func (h *held) Close() error { h.closed = true; return nil }

func TestOpeningMakesRoom(t *testing.T) {
	o := newOpening(6, 3)
	var all []*held
	add := func(from, name string) {
		h := &held{name: name}
		all = append(all, h)
		o.add(sourceOf(from+":1"), h)
	}
	want := func(when string, closed ...string) {
		t.Helper()
		var got []string
		for _, h := range all {
			if h.closed {
				got = append(got, h.name)
			}
		}
		count := 0
		for _, list := range o.held {
			count += len(list)
		}
		if !slices.Equal(got, closed) || count != o.count || count != len(all)-len(got) {
			t.Errorf("%s: closed %v, %d held, %d counted; want %v closed", when, got, count, o.count, closed)
		}
	}
	for i := range 4 {
		add("10.0.0.1", fmt.Sprint("a", i))
	}
	want("a source over its share", "a0")
	add("10.0.0.2", "b0")
	add("10.0.0.2", "b1")
	add("10.0.0.3", "c0")
	want("the limit is reached", "a0")
	add("10.0.0.4", "d0")
	want("over the limit, the source with most loses one", "a0", "a1")
	o.done(sourceOf("10.0.0.1:1"), all[0]) // closed before
	o.done(sourceOf("10.0.0.1:1"), all[2])
	all = slices.Delete(all, 2, 3)
	add("10.0.0.5", "e0")
	want("one is through, so there is room again", "a0", "a1")

	hosts := newOpening(4, 3)
	o, all = hosts, nil
	o.proven(sourceOf("10.0.0.9:1"))
	for i := range 3 {
		add("10.0.0.9", fmt.Sprint("h", i))
	}
	for i := range 4 {
		add(fmt.Sprint("10.0.0.", i+1), fmt.Sprint("x", i))
	}
	want("other hosts keep their places", "x0", "x1", "x2")
	for i := range maxHosts + 9 {
		o.proven(sourceOf(fmt.Sprintf("10.1.%d.%d:1", i/256, i%256)))
	}
	if len(o.hosts) != maxHosts || len(o.recent) != maxHosts {
		t.Errorf("%d and %d hosts are remembered", len(o.hosts), len(o.recent))
	}
}
