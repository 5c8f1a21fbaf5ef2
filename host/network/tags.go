package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// dialTime is the longest that a dial takes, however long its context lives.
const dialTime = 10 * time.Second

// Options of Open.
type Options struct {
	Lookup Lookup       // nil: no service is known
	Unix   []string     // directories in which sockets may be bound
	Failed func(*Error) // told of each dial that fails; nil: nobody
}

// Tags is the network tags of one allocation with their connections. It can be used by several goroutines.
type Tags struct {
	options Options
	byName  map[string]*tag

	dials context.Context // ends with the allocation
	end   context.CancelFunc

	mu     sync.Mutex
	open   map[*Conn]struct{}
	closed bool
	dialed sync.WaitGroup
}

// tag is one tag with what all its connections share.
type tag struct {
	Binding
	bucket *bucket // nil: no bound on the rate

	listening               listening
	open                    atomic.Int64
	dialed, failed, refused atomic.Int64
	in, out                 atomic.Int64
}

// Usage is what an allocation has done with one of its tags.
type Usage struct {
	Tag     string
	Open    int64 // connections now, those being made included
	Dialed  int64 // connections that were made, or accepted
	Failed  int64 // dials that did not become connections
	Refused int64 // what was not even tried: a limit, or a tag that is bound to nothing
	In, Out int64 // bytes, as the function sees them
}

// Open returns the tags of one allocation. Nothing is connected before the function asks for it.
func Open(bindings []Binding, o Options) (*Tags, error) {
	t := &Tags{options: o, byName: map[string]*tag{}, open: map[*Conn]struct{}{}}
	for _, b := range bindings {
		err := b.check()
		if err == nil && b.Unix != "" {
			_, _, err = allowed(b.Unix, o.Unix)
		}
		if err != nil {
			return nil, fmt.Errorf("network tag %q: %w", b.Tag, err)
		}
		if t.byName[b.Tag] != nil {
			return nil, fmt.Errorf("network tag %q is there twice", b.Tag)
		}
		if b.Connections == 0 {
			b.Connections = DefaultConnections
		}
		t.byName[b.Tag] = &tag{Binding: b, bucket: newBucket(b.Rate)}
	}
	t.dials, t.end = context.WithCancel(context.Background())
	return t, nil
}

// Dial connects to what a tag is bound to. It fails with an *Error.
func (t *Tags) Dial(ctx context.Context, name string) (*Conn, error) {
	c, err := t.dial(ctx, name)
	if err == nil {
		return c, nil
	}
	var failure *Error
	if !errors.As(err, &failure) {
		failure = explain(name, err)
	}
	if t.options.Failed != nil {
		t.options.Failed(failure)
	}
	return nil, failure
}

func (t *Tags) dial(ctx context.Context, name string) (*Conn, error) {
	g := t.byName[name]
	switch {
	case g == nil:
		return nil, &Error{Tag: name, Reason: Undeclared}
	case g.Listen:
		return nil, &Error{Tag: name, Reason: Undeclared, Err: errors.New("the tag listens, and makes no connections")}
	case !g.bound():
		g.refused.Add(1)
		return nil, &Error{Tag: name, Reason: Unbound}
	}
	if err := g.enter(); err != nil {
		return nil, err
	}
	if !t.begin() {
		g.leave()
		return nil, &Error{Tag: name, Reason: Canceled}
	}
	defer t.dialed.Done()
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	defer context.AfterFunc(t.dials, cancel)()
	c, err := g.connect(ctx, &t.options)
	if err == nil {
		err = t.add(c)
	}
	if err != nil {
		g.leave()
		g.failed.Add(1)
		return nil, err
	}
	g.dialed.Add(1)
	return c, nil
}

// enter takes one of the connections that the tag may have.
func (g *tag) enter() error {
	if g.open.Add(1) > int64(g.Connections) {
		g.open.Add(-1)
		g.refused.Add(1)
		return &Error{Tag: g.Tag, Reason: Limited, Err: fmt.Errorf("it has %d connections, as many as it may have at once", g.Connections)}
	}
	return nil
}

func (g *tag) leave() { g.open.Add(-1) }

// begin tells whether something may be dialed still; dialed is to be told of its end.
func (t *Tags) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.dialed.Add(1)
	}
	return !t.closed
}

// add makes c one of the connections that end with the allocation. If that has ended already, c is closed.
func (t *Tags) add(c *Conn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.closeDescriptor()
		return &Error{Tag: c.tag.Tag, Reason: Canceled}
	}
	c.owner = t
	t.open[c] = struct{}{}
	return nil
}

func (t *Tags) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
}

// Close ends all connections, and refuses new ones. It returns when no dial is under way any more. It may be
// called more than once.
func (t *Tags) Close() {
	t.mu.Lock()
	t.closed = true
	open := t.open
	t.open = map[*Conn]struct{}{}
	t.mu.Unlock()
	t.end()
	for c := range open {
		c.Close()
	}
	for _, g := range t.byName {
		g.listening.end()
	}
	t.dialed.Wait()
}

// Usage tells what was done with each tag, sorted by name, also after Close.
func (t *Tags) Usage() []Usage {
	var all []Usage
	for name, g := range t.byName {
		all = append(all, Usage{Tag: name, Open: g.open.Load(), Dialed: g.dialed.Load(),
			Failed: g.failed.Load(), Refused: g.refused.Load(), In: g.in.Load(), Out: g.out.Load()})
	}
	slices.SortFunc(all, func(a, b Usage) int { return strings.Compare(a.Tag, b.Tag) })
	return all
}
