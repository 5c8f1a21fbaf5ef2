package catalog

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"
)

// How queries are made.
const (
	// maxQueries is how many queries may be under way at once. An agent takes 200 connections from one address by
	// default (limits.http_max_conns_per_client), and this one is not its only client. When there are more watches,
	// they take turns.
	maxQueries = 96

	// longWait is how long a blocking query waits for a change, less up to a tenth. Consul's greatest is 10 minutes.
	longWait = 5 * time.Minute

	// turnWait is how long it waits when watches take turns.
	turnWait = time.Second

	// answerTime is how long an answer may take in addition.
	answerTime = 15 * time.Second

	// coalesce is the shortest time between two snapshots.
	coalesce = 20 * time.Millisecond

	// firstBackoff and maxBackoff bound the time between failing queries, which doubles. Half of it is random.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second

	// firstPause and maxPause bound the time after an answer without news, which doubles. Consul wakes the watch of a
	// service that has no instance whenever any other service changes.
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second

	// coordinatesEvery is the time between looks at the coordinates, which never stand still.
	coordinatesEvery = 30 * time.Second
)

// watchKey identifies a watch.
type watchKey struct {
	kind   watchKind
	target targetKey // of health; of a chain only the function
}

type watchKind string

const (
	intentionsWatch  watchKind = "intentions"
	servicesWatch    watchKind = "services"
	coordinatesWatch watchKind = "coordinates"
	chainWatch       watchKind = "discovery chain"
	healthWatch      watchKind = "health"
)

// query is what a watch does again and again.
type query struct {
	key    watchKey
	cached bool          // the agent answers blocking queries of this kind from its cache
	every  time.Duration // ask at these intervals instead of blocking

	// ask does the query, stores the answer unless ctx, the watch's, ended, and tells whether that was news.
	ask func(ctx context.Context, opts *api.QueryOptions) (news bool, meta *api.QueryMeta, err error)
}

// follow repeats a query until ctx ends.
func (w *Watcher) follow(ctx context.Context, q query) {
	var index uint64
	var backoff, pause time.Duration
	for {
		news, next, err := w.once(ctx, q, index)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.fail(q.key, err)
			// What is behind the address now may count from the start again: don't wait for an index that is far away.
			index = 0
			backoff = min(max(2*backoff, firstBackoff), maxBackoff)
			sleep(ctx, backoff/2+rand.N(backoff/2))
			continue
		}
		w.succeed(q.key)
		backoff, index = 0, next
		switch {
		case q.every > 0:
			pause = q.every - rand.N(q.every/10)
		case news:
			pause = 0
		default:
			pause = min(max(2*pause, firstPause), maxPause)
		}
		sleep(ctx, pause)
	}
}

// once does a query when there is a slot for it, and returns the index to wait from next.
func (w *Watcher) once(ctx context.Context, q query, index uint64) (news bool, next uint64, err error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return false, 0, ctx.Err()
	}
	round, wait := w.waitTime()
	if index == 0 {
		wait = 0
	}
	asking, cancel := context.WithTimeout(ctx, wait+wait/16+answerTime) // Consul adds up to a sixteenth
	defer cancel()
	stop := context.AfterFunc(round, cancel)
	defer stop()
	opts := (&api.QueryOptions{UseCache: q.cached, WaitIndex: index, WaitTime: wait}).WithContext(asking)
	news, meta, err := q.ask(ctx, opts)
	switch {
	case err != nil && round.Err() != nil && index != 0:
		return false, index, nil // it made room for others
	case err != nil:
		return false, 0, err
	case q.every > 0:
		return news, 0, nil
	}
	return news, nextIndex(index, meta.LastIndex), nil
}

// nextIndex is the index to wait from, by Consul's rules for blocking queries: it is at least 1, because 0 does not
// block; and when it goes backwards, as after a restore or a restart without data, it starts anew.
func nextIndex(last, answered uint64) uint64 {
	if answered < last {
		return 0
	}
	return max(answered, 1)
}

// waitTime returns for how long queries wait, and what ends that early.
func (w *Watcher) waitTime() (context.Context, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.running) > maxQueries {
		return w.round, turnWait
	}
	return w.round, longWait - rand.N(longWait/10)
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *Watcher) fail(key watchKey, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastErr = err
	if _, already := w.failing[key]; already || w.running[key] == nil {
		return
	}
	w.failing[key] = time.Now()
	if len(w.failing) == 1 {
		w.log.Warn("Consul does not answer; calls are routed by the last snapshot", "query", string(key.kind),
			"function", key.target.function, "error", err)
	}
}

func (w *Watcher) succeed(key watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since, failed := w.failing[key]
	if !failed {
		return
	}
	delete(w.failing, key)
	if len(w.failing) == 0 {
		w.lastErr = nil
		w.log.Info("Consul answers again", "away", time.Since(since).Round(time.Millisecond))
	}
}
