package link

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"countersign"
	"countersign/vaultsign/callsig"
)

// TestReconnect closes connections under a pool: what was not sent is sent again, what was is not.
func TestReconnect(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	p := f.pool()
	_, err := f.call(p, quote, tax, "x")
	must(t, err)
	for _, c := range f.server.all() {
		c.fail(errors.New("the test ends it"))
	}
	eventually(t, "the server forgets it", func() bool { return f.server.Open() == 0 })
	eventually(t, "a new connection is made", func() bool { _, err := f.call(p, quote, tax, "x"); return err == nil })
	before := tax.runs.Load()
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		for _, c := range f.server.all() {
			c.fail(errors.New("the test ends it"))
		}
		return callsig.Return{Status: 200}, nil
	}
	_, err = f.call(p, quote, tax, "x")
	if u := wantUnreachable(t, err, true); !u.Idempotent {
		t.Error("the callee's terms are lost")
	}
	if n := tax.runs.Load() - before; n != 1 {
		t.Errorf("executed %d times", n)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	f := newFixture(t)
	quote := f.instance("quote")
	p := f.pool(func(c *PoolConfig) { c.Connections = 3 })
	for range 6 {
		_, err := f.call(p, quote, f.callee("tax"), "x")
		must(t, err)
		if p.Open() > 3 {
			t.Errorf("%d connections", p.Open())
		}
	}
	hold := make(chan bool)
	began := make(chan bool)
	p = f.pool(func(c *PoolConfig) { c.Connections = 2 })
	var wg sync.WaitGroup
	for range 2 {
		busy := f.callee("tax")
		busy.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
			began <- true
			<-hold
			return callsig.Return{Status: 200}, nil
		}
		wg.Go(func() {
			if _, err := f.call(p, quote, busy, "x"); err != nil {
				t.Error(err)
			}
		})
		<-began
	}
	_, err := f.call(p, quote, f.callee("tax"), "x")
	wantUnreachable(t, err, false)
	close(hold)
	wg.Wait()
	p.Forget(quote.alloc)
	if p.Open() != 0 {
		t.Errorf("%d connections of an instance that ended", p.Open())
	}
}

func TestServerLimits(t *testing.T) {
	f := newFixture(t, func(c *ServerConfig) { c.Streams, c.Held, c.Connections = 2, 5000, 1 })
	quote, tax := f.instance("quote"), f.callee("tax")
	hold, began := make(chan bool), make(chan bool, 10)
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		began <- true
		<-hold
		return callsig.Return{Status: 200}, nil
	}
	p := f.pool()
	var wg sync.WaitGroup
	wg.Go(func() { f.call(p, quote, tax, "x") })
	<-began
	_, err := f.call(p, quote, tax, strings.Repeat("x", 5000))
	wantCode(t, err, countersign.CodeOverloaded)
	wg.Go(func() { f.call(p, quote, tax, "x") })
	<-began
	_, err = f.call(p, quote, tax, "x")
	wantCode(t, err, countersign.CodeOverloaded)
	_, err = f.call(f.pool(), quote, tax, "x")
	wantUnreachable(t, err, false)
	close(hold)
	wg.Wait()
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	f := newFixture(t, func(c *ServerConfig) { c.timing = quick })
	quote, tax := f.instance("quote"), f.callee("tax")
	p := f.pool(func(c *PoolConfig) { c.timing, c.IdleTimeout = quick, 10*quick.tick })
	_, err := f.call(p, quote, tax, "x")
	must(t, err)
	eventually(t, "an idle connection is closed", func() bool { return p.Open() == 0 && f.server.Open() == 0 })
	_, err = f.call(p, quote, tax, "x")
	must(t, err)
}
