package link

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// link is the calling end of one connection.
type link struct {
	*conn
	pool    *Pool
	ends    ends
	from    Caller
	target  Target
	terms   Terms
	binding []byte
	used    atomic.Int64 // Unix nanoseconds of the last call

	mu        sync.Mutex
	streams   map[uint64]*stream // calls that wait for their return
	last      uint64             // stream of the last call
	draining  error              // why there are no new calls
	lost      bool               // the connection has ended
	presented presented
	showed    map[string]bool // interfaces that the callee got
}

// stream is one call that waits.
type stream struct {
	id    uint64
	batch uint64 // of the writer
	done  chan result
}

// result is how a call ended. The zero result means that the connection did.
type result struct {
	ret     *callsig.SignedReturn
	key     digest
	refused *RefusedError
}

// lostError says that the connection of a call ended.
type lostError struct {
	sent     bool // something of the call may have been sent
	draining bool // the callee asked for no more calls
	err      error
}

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

func (l *link) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams) > 0
}

func (l *link) idle(unused time.Duration) {
	l.mu.Lock()
	draining := l.draining != nil
	l.mu.Unlock()
	if draining || unused >= l.pool.config.IdleTimeout {
		l.retire()
	}
}

// retire closes the connection unless calls are under way, in which case it ends after them.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining == nil {
		l.draining = errClosed
	}
	if len(l.streams) == 0 {
		l.out.finish()
	}
}

// lose tells those who wait that the connection has ended.
func (l *link) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
	for id, s := range l.streams {
		delete(l.streams, id)
		s.done <- result{}
	}
}

// limit is how long the payloads are that a callee may send.
func (l *link) limit(k kind) int64 {
	switch k {
	case kindReturn:
		return l.terms.MaxResponse + maxHead
	case kindRefused, kindCertificate, kindGoAway:
		return maxControl
	case kindPing, kindPong:
		return 0
	}
	return -1
}

// read handles what the callee sends until the connection ends, and returns why.
func (l *link) read() error {
	for {
		f, err := l.next(l.limit)
		if err != nil {
			return err
		}
		if done, err := l.control(f, l.pool.config.Now()); err != nil {
			return err
		} else if done {
			continue
		}
		var r result
		switch f.kind {
		case kindReturn:
			r.ret, r.key, err = parseReturn(f.payload)
		case kindRefused:
			r.refused, err = parseRefused(f.payload)
		case kindGoAway:
			if r.refused, err = parseRefused(f.payload); err == nil {
				l.away(r.refused)
				continue
			}
		}
		if err == nil {
			err = l.finish(f.stream, r)
		}
		if err != nil {
			return err
		}
	}
}

// away takes note that the callee wants no more calls.
func (l *link) away(reason *RefusedError) {
	l.mu.Lock()
	l.draining = reason
	l.mu.Unlock()
	l.retire()
}

// finish hands the end of a call to who waits for it; a caller that has given up is not there.
func (l *link) finish(id uint64, r result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == 0 || id > l.last {
		return malformed("an answer on stream %d, on which there was no call", id)
	}
	if s := l.streams[id]; s != nil {
		if !l.out.done(s.batch) {
			return malformed("an answer on stream %d, whose call was not sent yet", id)
		}
		l.remove(s)
		s.done <- r
	}
	return nil
}

func (l *link) remove(s *stream) {
	delete(l.streams, s.id)
	if l.draining != nil && len(l.streams) == 0 {
		l.out.finish()
	}
}

// call makes one call on the connection. Errors are *lostError and those of Pool.Call.
func (l *link) call(ctx context.Context, call callsig.Call) (*Answer, error) {
	function, now := l.target.Function.Name(), l.pool.config.Now()
	if n := int64(len(call.Body)); n > l.terms.MaxRequest {
		return nil, countersign.Errorf(countersign.CodeTooLarge, function,
			"the request has %d bytes, the function's spec allows %d (max_request)", n, l.terms.MaxRequest)
	}
	if call.Callee != l.target.Function {
		return nil, refuse(callsig.ReasonWrongCallee, "the call is for %s, the connection to %s", call.Callee, l.target.Function)
	}
	self := l.from.Identity()
	signer := callsig.NewSigner(self)
	signed, err := callsig.PrepareCall(signer, call, now)
	if err != nil {
		return nil, err
	}
	s, err := l.send(self, outgoing{kind: kindCall, call: signed, signer: signer, key: digestOf(self.Certificate)})
	if err != nil {
		return nil, err
	}
	r, err := l.wait(ctx, s, call.Deadline.Sub(now))
	switch {
	case err != nil:
		return nil, err
	case r.refused != nil:
		r.refused.Interface = l.terms.Interface
		return nil, r.refused
	case r.ret == nil:
		return nil, &lostError{sent: l.out.taken(s.batch), err: l.cause}
	}
	now = l.pool.config.Now()
	key, err := l.peer.find(r.key, &r.ret.Signature, now)
	if err != nil {
		return nil, err
	}
	if err := callsig.VerifyReturn(key, signed, r.ret, now); err != nil {
		return nil, err
	}
	return &Answer{Call: signed, Return: r.ret, Terms: l.terms}, nil
}

// send has a call signed and sent, after the certificate of its key and the interface that it was built with if the callee
// knows them not.
func (l *link) send(self *identity.Identity, call outgoing) (*stream, error) {
	s := &stream{done: make(chan result, 1)}
	l.used.Store(call.call.Signature.Created * int64(time.Second))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.draining != nil:
		return nil, &lostError{draining: !errors.Is(l.draining, errClosed), err: l.draining}
	case l.lost:
		return nil, &lostError{err: l.cause}
	case len(l.streams) >= l.pool.config.Streams:
		return nil, &RefusedError{Code: countersign.CodeOverloaded, Reason: "too many calls of this instance to that one are under way"}
	}
	s.id = l.last + 1
	call.stream = s.id
	frames := []outgoing{call}
	if l.presented.add(call.key) {
		payload := encodeCertificate(self, roleCaller, l.binding)
		frames = []outgoing{{kind: kindCertificate, payload: payload}, call}
	}
	if document := l.toShow(call.call.Call.Interface); document != nil {
		frames = append([]outgoing{{kind: kindInterface, payload: document}}, frames...)
	}
	var err error
	if s.batch, err = l.out.push(frames...); err != nil {
		return nil, &lostError{err: err}
	}
	l.last++
	l.streams[s.id] = s
	return s, nil
}

// wait waits for the end of a call for as long as its caller does.
func (l *link) wait(ctx context.Context, s *stream, most time.Duration) (result, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case r := <-s.done:
		return r, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[s.id] == nil { // it ended at the same moment
		return <-s.done, nil
	}
	l.remove(s)
	l.out.push(outgoing{kind: kindCancel, stream: s.id})
	if err := contextError(ctx, l.target); err != nil {
		return result{}, err
	}
	return result{}, countersign.Errorf(countersign.CodeDeadline, l.target.Function.Name(), "no return before the deadline")
}
