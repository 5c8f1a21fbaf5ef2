package wasm

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"countersign/host/runtime/limits"
)

var (
	errClosed     = errors.New("the function is being stopped")
	errOverloaded = errors.New("no free sandbox")
	errCrowded    = errors.New("too many calls wait for a sandbox")
)

// pool lends out the sandboxes of one function: at most size at a time, made when needed, waited for in
// order of arrival.
type pool struct {
	size   int
	create func(context.Context) (*sandbox, error)

	mu      sync.Mutex
	idle    []*sandbox // the last used at the end: its memory is the warmest
	live    int        // lent out, idle, or being made
	waiting list.List  // of chan grant
	closed  bool
	empty   chan struct{} // closed when closed and live is 0
}

// grant is what a waiter gets: a sandbox, or with nil the right to make one.
type grant struct{ sandbox *sandbox }

func newPool(size int, create func(context.Context) (*sandbox, error)) *pool {
	return &pool{size: size, create: create, empty: make(chan struct{})}
}

// acquire lends a sandbox. It fails with errClosed, with errCrowded, with errOverloaded when ctx ends first, or with what
// kept the first sandbox from being made.
func (p *pool) acquire(ctx context.Context) (*sandbox, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	if p.live < p.size {
		p.live++
		p.mu.Unlock()
		return p.make(ctx)
	}
	if p.waiting.Len() >= limits.Waiting {
		p.mu.Unlock()
		return nil, errCrowded
	}
	ticket := make(chan grant, 1)
	element := p.waiting.PushBack(ticket)
	p.mu.Unlock()
	return p.wait(ctx, element, ticket)
}

func (p *pool) wait(ctx context.Context, element *list.Element, ticket chan grant) (*sandbox, error) {
	select {
	case got, ok := <-ticket:
		if !ok {
			return nil, errClosed
		}
		if got.sandbox != nil {
			return got.sandbox, nil
		}
		return p.make(ctx)
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.waiting.Remove(element)
	p.mu.Unlock()
	select {
	case got, ok := <-ticket: // it came at the same moment: pass it on
		if ok && got.sandbox != nil {
			p.release(got.sandbox)
		} else if ok {
			p.forget()
		}
	default:
	}
	return nil, errOverloaded
}

// make uses the right to make a sandbox. If memory is short it waits for one of the others instead, before all who
// came later.
func (p *pool) make(ctx context.Context) (*sandbox, error) {
	s, err := p.create(ctx)
	if err == nil {
		return s, nil
	}
	var short *memoryShortage
	p.mu.Lock()
	if !errors.As(err, &short) || p.live == 1 || p.closed {
		p.mu.Unlock()
		p.forget()
		return nil, err
	}
	p.live--
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	ticket := make(chan grant, 1)
	element := p.waiting.PushFront(ticket)
	p.mu.Unlock()
	return p.wait(ctx, element, ticket)
}

// release takes back a sandbox that can be used again.
func (p *pool) release(s *sandbox) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.discard(s)
		return
	}
	if first := p.waiting.Front(); first != nil {
		p.waiting.Remove(first).(chan grant) <- grant{s}
	} else {
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
}

// discard takes back a sandbox that must not be used again, and ends it.
func (p *pool) discard(s *sandbox) {
	s.close()
	p.forget()
}

// forget gives up one place; the first who waits may fill it.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.waiting.Front(); first != nil && !p.closed {
		p.waiting.Remove(first).(chan grant) <- grant{}
		return
	}
	p.live--
	if p.closed && p.live == 0 {
		close(p.empty)
	}
}

// evict ends the idle sandbox that was not used for longest, to free its memory.
func (p *pool) evict() bool {
	p.mu.Lock()
	if len(p.idle) == 0 {
		p.mu.Unlock()
		return false
	}
	s := p.idle[0]
	p.idle = append(p.idle[:0], p.idle[1:]...)
	p.mu.Unlock()
	p.discard(s)
	return true
}

// fill makes sandboxes until n are there.
func (p *pool) fill(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		if p.closed || p.live >= min(n, p.size) {
			p.mu.Unlock()
			return nil
		}
		p.live++
		p.mu.Unlock()
		s, err := p.create(ctx)
		if err != nil {
			p.forget()
			var short *memoryShortage
			if errors.As(err, &short) && p.count() > 0 {
				return nil // the memory is used up by those that are there
			}
			return err
		}
		p.release(s)
	}
}

// close refuses new borrowers, sends the waiting ones away and ends what is idle. The channel that it returns is
// closed when the last sandbox has come back.
func (p *pool) close() <-chan struct{} {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return p.empty
	}
	p.closed = true
	for first := p.waiting.Front(); first != nil; first = p.waiting.Front() {
		close(p.waiting.Remove(first).(chan grant))
	}
	idle := p.idle
	p.idle = nil
	if p.live == 0 {
		close(p.empty)
	}
	p.mu.Unlock()
	for _, s := range idle {
		p.discard(s)
	}
	return p.empty
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}
