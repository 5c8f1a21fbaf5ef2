package wasm

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

var (
	errClosed     = errors.New("the function is being stopped")
	errOverloaded = errors.New("no free instance")
)

// pool lends out the WebAssembly instances of one function: at most size at a time, made when needed, waited for in
// order of arrival.
type pool struct {
	size   int
	create func(context.Context) (*guest, error)

	mu      sync.Mutex
	idle    []*guest  // the last used at the end: its memory is the warmest
	live    int       // lent out, idle, or being made
	waiting list.List // of chan grant
	closed  bool
	empty   chan struct{} // closed when closed and live is 0
}

// grant is what a waiter gets: an instance, or with nil the right to make one.
type grant struct{ guest *guest }

func newPool(size int, create func(context.Context) (*guest, error)) *pool {
	return &pool{size: size, create: create, empty: make(chan struct{})}
}

// acquire lends an instance. It fails with errClosed, with errOverloaded when ctx ends first, or with what kept the
// first instance from being made.
func (p *pool) acquire(ctx context.Context) (*guest, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if n := len(p.idle); n > 0 {
		g := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return g, nil
	}
	if p.live < p.size {
		p.live++
		p.mu.Unlock()
		return p.make(ctx)
	}
	ticket := make(chan grant, 1)
	element := p.waiting.PushBack(ticket)
	p.mu.Unlock()
	return p.wait(ctx, element, ticket)
}

func (p *pool) wait(ctx context.Context, element *list.Element, ticket chan grant) (*guest, error) {
	select {
	case got, ok := <-ticket:
		if !ok {
			return nil, errClosed
		}
		if got.guest != nil {
			return got.guest, nil
		}
		return p.make(ctx)
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.waiting.Remove(element)
	p.mu.Unlock()
	select {
	case got, ok := <-ticket: // it came at the same moment: pass it on
		if ok && got.guest != nil {
			p.release(got.guest)
		} else if ok {
			p.forget()
		}
	default:
	}
	return nil, errOverloaded
}

// make uses the right to make an instance. If memory is short it waits for one of the others instead, before all who
// came later.
func (p *pool) make(ctx context.Context) (*guest, error) {
	g, err := p.create(ctx)
	if err == nil {
		return g, nil
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
		g := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return g, nil
	}
	ticket := make(chan grant, 1)
	element := p.waiting.PushFront(ticket)
	p.mu.Unlock()
	return p.wait(ctx, element, ticket)
}

// release takes back an instance that can be used again.
func (p *pool) release(g *guest) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.discard(g)
		return
	}
	if first := p.waiting.Front(); first != nil {
		p.waiting.Remove(first).(chan grant) <- grant{g}
	} else {
		p.idle = append(p.idle, g)
	}
	p.mu.Unlock()
}

// discard takes back an instance that must not be used again, and ends it.
func (p *pool) discard(g *guest) {
	g.close()
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

// evict ends the idle instance that was not used for longest, to free its memory.
func (p *pool) evict() bool {
	p.mu.Lock()
	if len(p.idle) == 0 {
		p.mu.Unlock()
		return false
	}
	g := p.idle[0]
	p.idle = append(p.idle[:0], p.idle[1:]...)
	p.mu.Unlock()
	p.discard(g)
	return true
}

// fill makes instances until n are there.
func (p *pool) fill(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		if p.closed || p.live >= min(n, p.size) {
			p.mu.Unlock()
			return nil
		}
		p.live++
		p.mu.Unlock()
		g, err := p.create(ctx)
		if err != nil {
			p.forget()
			var short *memoryShortage
			if errors.As(err, &short) && p.count() > 0 {
				return nil // the memory is used up by those that are there
			}
			return err
		}
		p.release(g)
	}
}

// close refuses new borrowers, sends the waiting ones away and ends what is idle. The channel that it returns is
// closed when the last instance has come back.
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
	for _, g := range idle {
		p.discard(g)
	}
	return p.empty
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}
