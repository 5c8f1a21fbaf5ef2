package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// serving is the called end of one connection.
type serving struct {
	*conn
	server     *Server
	base       context.Context // values for the calls, no cancellation
	callee     Callee
	self       identity.ID
	allocation string
	function   string
	terms      Terms
	names      names
	binding    []byte
	held       atomic.Int64 // bytes of calls under way

	mu        sync.Mutex
	running   map[uint64]context.CancelFunc // by stream
	last      uint64                        // stream of the last call
	draining  bool
	gone      bool // no call is begun any more
	presented presented
	shown     shown
}

func (c *serving) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.running) > 0
}

// idle closes a connection that is not used.
func (c *serving) idle(unused time.Duration) {
	c.mu.Lock()
	draining := c.draining
	c.mu.Unlock()
	if draining || unused >= serverIdle {
		c.out.finish()
	}
}

func (c *serving) drain(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.draining {
		c.draining = true
		c.out.push(outgoing{kind: kindGoAway, payload: encodeRefused(countersign.CodeUnavailable, reason)})
	}
}

// cancelAll ends the calls under way: nobody waits for their returns.
func (c *serving) cancelAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, cancel := range c.running {
		cancel()
	}
}

// limit is how long the payloads are that a caller may send.
func (c *serving) limit(k kind) int64 {
	switch k {
	case kindCall:
		return c.terms.MaxRequest + maxHead
	case kindCertificate:
		return maxControl
	case kindInterface:
		return maxInterface
	case kindCancel, kindPing, kindPong:
		return 0
	}
	return -1
}

// read handles what the caller sends until the connection ends, and returns why.
func (c *serving) read() error {
	for {
		f, err := c.next(c.limit)
		if err != nil {
			return err
		}
		if done, err := c.control(f, c.server.config.Now()); err != nil {
			return err
		} else if done {
			continue
		}
		switch f.kind {
		case kindCall:
			err = c.begin(f)
		case kindInterface:
			err = c.show(f.payload)
		case kindCancel:
			c.mu.Lock()
			if cancel := c.running[f.stream]; cancel != nil {
				cancel()
			}
			c.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

// begin takes a call and runs it on its own goroutine.
func (c *serving) begin(f frame) error {
	call, err := c.names.parseCall(f.payload)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.base)
	size := int64(len(f.payload))
	held := c.held.Add(size)
	c.mu.Lock()
	switch {
	case f.stream <= c.last:
		err = malformed("stream %d follows stream %d", f.stream, c.last)
	case c.draining:
		err = countersign.Errorf(countersign.CodeUnavailable, c.function, "the instance is stopping")
	case len(c.running) >= c.server.config.Streams:
		err = countersign.Errorf(countersign.CodeOverloaded, c.function, "more than %d calls at a time on one connection",
			c.server.config.Streams)
	case held > c.server.config.Held && held > size:
		err = countersign.Errorf(countersign.CodeOverloaded, c.function,
			"the calls under way on this connection have more than %d bytes", c.server.config.Held)
	case c.gone:
		err = errClosed
	default:
		c.last = f.stream
		c.running[f.stream] = cancel
	}
	c.mu.Unlock()
	if err == nil {
		go func() {
			c.answer(ctx, f.stream, call)
			c.end(f.stream, cancel, size)
		}()
		return nil
	}
	cancel()
	c.held.Add(-size)
	var refused *countersign.CallError
	if !errors.As(err, &refused) {
		return err
	}
	c.mu.Lock()
	c.last = f.stream
	c.mu.Unlock()
	c.refuse(f.stream, err)
	return nil
}

func (c *serving) end(stream uint64, cancel context.CancelFunc, size int64) {
	cancel()
	c.held.Add(-size)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, stream)
}

// answer verifies, runs and answers a call.
func (c *serving) answer(ctx context.Context, stream uint64, in *received) {
	if err := c.verify(in); err != nil {
		c.refuse(stream, err)
		return
	}
	checked := c.callee.Identity()
	if err := checked.Certificate.CheckTime(c.server.config.Now()); err != nil {
		c.refuse(stream, countersign.Errorf(countersign.CodeUnavailable, c.function, "nobody could sign the return: %w", err))
		return
	}
	ret, err := c.callee.Run(ctx, &in.signed.Call)
	if err != nil {
		c.refuse(stream, err)
		return
	}
	c.answerWith(stream, in, ret, checked)
}

// answerWith signs and sends the return of a call that was executed, so that it must not be refused any more. One that
// can't be signed as it is becomes an error that can; checked is an identity that could sign before the call.
func (c *serving) answerWith(stream uint64, in *received, ret callsig.Return, checked *identity.Identity) {
	if most := c.terms.MaxResponse + maxHead/2; int64(len(ret.Body)) > most {
		ret = tooLarge(len(ret.Body), c.terms.MaxResponse)
	}
	logged := false
	for _, ret := range []callsig.Return{ret, unsignable()} {
		for _, self := range []*identity.Identity{c.callee.Identity(), checked} {
			signer := callsig.NewSigner(self)
			signed, err := callsig.PrepareReturn(signer, &in.signed, ret, c.server.config.Now())
			if err == nil {
				c.send(self, outgoing{kind: kindReturn, stream: stream, call: &in.signed, ret: signed, signer: signer,
					key: digestOf(self.Certificate)})
				return
			}
			if !logged {
				logged = true
				c.server.config.Log.Error("a return could not be signed", "function", c.function, "allocation", c.allocation,
					"error", err)
			}
		}
	}
	// No key is good any more. The caller waits until its deadline, and the other calls of the connection go on.
}

// verify says whether a call may run. What it is tied to is the connection: its caller is the TLS peer and its key is
// one of the peer's; its callee is whom the TLS server name names.
func (c *serving) verify(in *received) error {
	call, now := &in.signed, c.server.config.Now()
	if n := int64(len(call.Call.Body)); n > c.terms.MaxRequest {
		return countersign.Errorf(countersign.CodeTooLarge, c.function,
			"the request has %d bytes, the function's spec allows %d (max_request)", n, c.terms.MaxRequest)
	}
	if err := c.callee.Permit(c.peer.peer); err != nil {
		return err
	}
	key, err := c.peer.find(in.key, &call.Signature, now)
	if err != nil {
		return err
	}
	if err := callsig.VerifyCall(key, c.self, call, now); err != nil {
		return err
	}
	return c.fits(&call.Call)
}

// send has a return signed and sent, after the certificate of its key if the caller does not know that.
func (c *serving) send(self *identity.Identity, ret outgoing) {
	frames := []outgoing{ret}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.presented.add(ret.key) {
		payload := encodeCertificate(self, roleCallee, c.binding)
		frames = []outgoing{{kind: kindCertificate, payload: payload}, ret}
	}
	c.out.push(frames...) // the caller of a connection that has ended is not there
}

func (c *serving) refuse(stream uint64, err error) {
	refused := refusalOf(c.function, err)
	c.server.config.Refused(c.function, err)
	c.out.push(outgoing{kind: kindRefused, stream: stream, payload: encodeRefused(refused.Code, refused.Reason)})
}

// tooLarge is the return of a call whose reply is longer than its caller takes.
func tooLarge(n int, most int64) callsig.Return {
	return failed(http.StatusRequestEntityTooLarge, countersign.CodeTooLarge,
		fmt.Sprintf("the reply has %d bytes, the function's spec allows %d (max_response)", n, most))
}

// unsignable is the return of a call whose own return can't be signed.
func unsignable() callsig.Return {
	return failed(http.StatusInternalServerError, countersign.CodeInternal,
		"the call was executed, and its return could not be signed; the host's log has the cause")
}

// failed is the return of a call that failed. detail needs no escapes.
func failed(status int, code countersign.Code, detail string) callsig.Return {
	body := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"code":%[1]q,"detail":"%[3]s"}`, code, status, detail)
	return callsig.Return{Status: status, Code: code, Body: []byte(body)}
}

// isClosed reports whether a connection ended because somebody closed it between frames.
func isClosed(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) }
