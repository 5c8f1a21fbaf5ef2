package catalog

import (
	"context"
	"sync"
	"time"

	"countersign/router"
)

// Run watches until ctx ends. It must be called once.
func (w *Watcher) Run(ctx context.Context) {
	var watches sync.WaitGroup
	defer watches.Wait()
	defer w.endWatches()
	w.wake()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.dirty:
		}
		sleep(ctx, coalesce-time.Since(last))
		if ctx.Err() != nil {
			return
		}
		w.reconcile(ctx, &watches)
		if s, ok := w.snapshot(); ok {
			last = time.Now()
			w.config.Changed(s)
			w.announce(s)
		}
	}
}

// reconcile starts the watches that are needed and stops the others.
func (w *Watcher) reconcile(ctx context.Context, watches *sync.WaitGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	needed := w.needed()
	before := len(w.running)
	for key, stop := range w.running {
		if _, ok := needed[key]; !ok {
			stop()
			delete(w.running, key)
			delete(w.failing, key)
			w.changed = w.data.forget(key) || w.changed
		}
	}
	for key, q := range needed {
		if w.running[key] != nil {
			continue
		}
		watching, stop := context.WithCancel(ctx)
		w.running[key] = stop
		watches.Go(func() { w.follow(watching, q) })
	}
	if before <= maxQueries && len(w.running) > maxQueries {
		w.log.Warn("there are more watches than connections to Consul: changes take longer to be seen",
			"watches", len(w.running), "connections", maxQueries)
		w.endRound()
		w.round, w.endRound = context.WithCancel(context.Background())
	}
}

// needed returns the watches for what is wanted and for the functions that can be called from outside.
func (w *Watcher) needed() map[watchKey]query {
	needed := map[watchKey]query{}
	add := func(q query) { needed[q.key] = q }
	add(w.intentionsQuery())
	add(w.servicesQuery())
	add(w.coordinatesQuery())
	chain := func(function string) {
		add(w.chainQuery(function))
		if c := w.data.chains[function]; c != nil {
			for _, key := range c.targets() {
				add(w.healthQuery(key))
			}
		}
	}
	for function := range w.wanted {
		chain(function)
	}
	for _, f := range w.data.functions {
		if f.Ingress {
			chain(f.Name)
		}
	}
	return needed
}

// snapshot makes a snapshot if there is something new to tell.
func (w *Watcher) snapshot() (router.Snapshot, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.changed || !w.data.hasIntentions || !w.data.hasFunctions {
		return router.Snapshot{}, false
	}
	w.changed = false
	s, more := w.data.snapshot()
	if more { // targets that are not shown any more can be stopped
		w.wake()
	}
	return s, true
}

// announce tells those who Wait what the snapshot holds.
func (w *Watcher) announce(s router.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delivered = make(map[string]bool, len(s.Chains))
	for i := range s.Chains {
		w.delivered[s.Chains[i].Function] = true
	}
	close(w.delivery)
	w.delivery = make(chan struct{})
}

// endWatches stops every watch.
func (w *Watcher) endWatches() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, stop := range w.running {
		stop()
		delete(w.running, key)
	}
}
