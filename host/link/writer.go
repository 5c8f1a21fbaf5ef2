package link

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"countersign/vaultsign/callsig"
)

const (
	// maxQueue is how many frames may wait to be written: far more than streams are allowed, so that only a peer that
	// does not read gets there.
	maxQueue = 1 << 14
	// writeSize is the most that is handed to the connection at once.
	writeSize = 128 << 10
)

// outgoing is a frame that waits to be signed and written: a call, a return, or a payload of another kind.
type outgoing struct {
	kind    kind
	stream  uint64
	payload []byte
	call    *callsig.SignedCall
	ret     *callsig.SignedReturn
	signer  *callsig.IdentitySigner // of call, or of ret, which answers call
	key     digest                  // of the signer's certificate
}

func (o *outgoing) body() []byte {
	switch {
	case o.ret != nil:
		return o.ret.Return.Body
	case o.call != nil:
		return o.call.Call.Body
	}
	return nil
}

// writer is the one goroutine that signs for and writes to a connection. What waits while it does is signed together
// and goes out together next.
type writer struct {
	conn    net.Conn
	most    int           // messages that one signature covers
	timeout time.Duration // within which a peer takes writeSize bytes

	mu      sync.Mutex
	wake    sync.Cond
	queue   []outgoing
	batch   uint64 // counts how often the queue was taken
	signed  uint64 // the latest batch that is signed
	stopped error
	flushed bool // the queue is to be written, and then no more

	buffer   []byte
	unsigned []callsig.Unsigned
	// progress counts chunks that the peer took in the middle of a frame.
	progress func()
}

var errQueue = errors.New("the peer does not read")

func newWriter(conn net.Conn, most int, timeout time.Duration, progress func()) *writer {
	if most <= 0 || most > callsig.MaxBatch {
		most = callsig.MaxBatch
	}
	w := &writer{conn: conn, most: most, timeout: timeout, progress: progress}
	w.wake.L = &w.mu
	return w
}

// push queues frames that go out next to each other, and returns the number of their batch. Once the writer is stopped
// it returns why.
func (w *writer) push(frames ...outgoing) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped == nil && len(w.queue) >= maxQueue {
		w.stopped = errQueue
	}
	if w.stopped != nil {
		return 0, w.stopped
	}
	if len(w.queue) == 0 {
		w.wake.Signal()
	}
	w.queue = append(w.queue, frames...)
	return w.batch + 1, nil
}

// taken reports whether the writer has begun to write a batch.
func (w *writer) taken(batch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return batch <= w.batch
}

// done reports whether a batch is signed, so that what was signed in it can be read.
func (w *writer) done(batch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return batch <= w.signed
}

// stop ends the writer. What waits is dropped.
func (w *writer) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped == nil {
		w.stopped = err
	}
	w.wake.Signal()
}

// finish lets the writer end after what waits now.
func (w *writer) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushed = true
	w.wake.Signal()
}

// run writes until the writer is stopped or the connection fails, and returns why.
func (w *writer) run() error {
	var spare []outgoing
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && w.stopped == nil && !w.flushed {
			w.wake.Wait()
		}
		// Those who are ready to run may have something to send as well.
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
		frames := w.queue
		if err := w.stopped; err != nil || len(frames) == 0 {
			w.stopped = errors.Join(err, net.ErrClosed)
			w.mu.Unlock()
			return err
		}
		w.queue = spare[:0]
		w.batch++
		w.mu.Unlock()
		err := w.sign(frames)
		if err == nil {
			w.mu.Lock()
			w.signed = w.batch
			w.mu.Unlock()
			err = w.write(frames)
		}
		if err != nil {
			w.stop(err)
			return err
		}
		clear(frames)
		spare = frames
	}
}

// sign signs the calls and returns of a batch: those of one signer together.
func (w *writer) sign(frames []outgoing) error {
	var signer *callsig.IdentitySigner
	var key digest
	for i := range frames {
		o := &frames[i]
		if o.signer == nil {
			continue
		}
		if len(w.unsigned) == w.most || signer != nil && key != o.key {
			if err := w.signTogether(signer); err != nil {
				return err
			}
		}
		signer, key = o.signer, o.key
		w.unsigned = append(w.unsigned, callsig.Unsigned{Call: o.call, Return: o.ret})
	}
	return w.signTogether(signer)
}

func (w *writer) signTogether(signer *callsig.IdentitySigner) error {
	if len(w.unsigned) == 0 {
		return nil
	}
	err := callsig.SignBatch(signer, w.unsigned)
	clear(w.unsigned)
	w.unsigned = w.unsigned[:0]
	return err
}

func (w *writer) write(frames []outgoing) error {
	for i := range frames {
		o := &frames[i]
		switch {
		case o.ret != nil:
			w.buffer = appendReturn(w.buffer, o.stream, o.ret, o.key)
		case o.call != nil:
			w.buffer = appendCall(w.buffer, o.stream, o.call, o.key)
		default:
			w.buffer = appendControl(w.buffer, o.kind, o.stream, o.payload)
		}
		body := o.body()
		for len(w.buffer)+len(body) > writeSize {
			n := max(0, min(len(body), writeSize-len(w.buffer)))
			w.buffer = append(w.buffer, body[:n]...)
			body = body[n:]
			if err := w.flush(); err != nil {
				return err
			}
			w.progress()
		}
		w.buffer = append(w.buffer, body...)
	}
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(w.buffer)
	w.buffer = w.buffer[:0]
	return err
}
