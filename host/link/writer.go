package link

import (
	"errors"
	"net"
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

// outgoing is a frame that waits to be written: a call, a return, or a payload of another kind.
type outgoing struct {
	kind    kind
	stream  uint64
	payload []byte
	call    *callsig.SignedCall
	ret     *callsig.SignedReturn
	key     digest // that call or ret is signed with
	explain bool
}

func (o *outgoing) body() []byte {
	switch {
	case o.call != nil:
		return o.call.Call.Body
	case o.ret != nil:
		return o.ret.Return.Body
	}
	return nil
}

// writer is the one goroutine that writes to a connection. What waits while it writes goes out together next.
type writer struct {
	conn    net.Conn
	timeout time.Duration // within which a peer takes writeSize bytes

	mu      sync.Mutex
	wake    sync.Cond
	queue   []outgoing
	batch   uint64 // counts how often the queue was taken
	stopped error
	flushed bool // the queue is to be written, and then no more

	buffer []byte
	// progress counts chunks that the peer took in the middle of a frame.
	progress func()
}

var errQueue = errors.New("the peer does not read")

func newWriter(conn net.Conn, timeout time.Duration, progress func()) *writer {
	w := &writer{conn: conn, timeout: timeout, progress: progress}
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
		frames := w.queue
		if err := w.stopped; err != nil || len(frames) == 0 {
			w.stopped = errors.Join(err, net.ErrClosed)
			w.mu.Unlock()
			return err
		}
		w.queue = spare[:0]
		w.batch++
		w.mu.Unlock()
		if err := w.write(frames); err != nil {
			w.stop(err)
			return err
		}
		clear(frames)
		spare = frames
	}
}

func (w *writer) write(frames []outgoing) error {
	for i := range frames {
		o := &frames[i]
		switch {
		case o.call != nil:
			w.buffer = appendCall(w.buffer, o.stream, o.call, o.key, o.explain)
		case o.ret != nil:
			w.buffer = appendReturn(w.buffer, o.stream, o.ret, o.key)
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
