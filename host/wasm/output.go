package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	outputBuffer = 256 << 10 // bytes of a stream that wait for a slow reader
	outputLine   = 16 << 10  // a longer line is passed on in pieces
	outputDrain  = time.Second
)

// output is one stream of a function on its way to a reader that may be slow or stuck: what does not fit into the
// buffer is dropped and counted, and the function never waits.
type output struct {
	mu      sync.Mutex
	wake    *sync.Cond
	buf     []byte
	lost    int64 // bytes dropped since the last that was written
	dropped int64 // in all
	closed  bool
	done    chan struct{} // closed when the last has been written
}

// newOutput starts writing to w; a nil w discards.
func newOutput(w io.Writer) *output {
	o := &output{done: make(chan struct{})}
	o.wake = sync.NewCond(&o.mu)
	if w == nil {
		w = io.Discard
	}
	go o.run(w)
	return o
}

func (o *output) run(w io.Writer) {
	defer close(o.done)
	var batch []byte
	for {
		o.mu.Lock()
		for len(o.buf) == 0 && o.lost == 0 && !o.closed {
			o.wake.Wait()
		}
		batch, o.buf = o.buf, batch[:0]
		lost := o.lost
		o.lost = 0
		closed := o.closed
		o.mu.Unlock()
		if lost > 0 {
			batch = fmt.Appendf(batch, "[%d bytes of output were dropped: the reader was too slow]\n", lost)
		}
		if len(batch) == 0 && closed {
			return
		}
		if _, err := w.Write(batch); err != nil {
			// Nobody reads any more. The function goes on; what it says is counted as dropped.
			o.mu.Lock()
			o.dropped += int64(len(batch))
			o.mu.Unlock()
		}
	}
}

// line takes one line, or a piece of a long one.
func (o *output) line(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.buf)+len(line) > outputBuffer || o.lost > 0 {
		o.lost += int64(len(line))
		o.dropped += int64(len(line))
		return
	}
	o.buf = append(o.buf, line...)
	o.wake.Signal()
}

func (o *output) droppedBytes() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// close writes what waits, for at most a second: a stuck reader does not hold up the end of a function.
func (o *output) close() {
	o.mu.Lock()
	o.closed = true
	o.wake.Signal()
	o.mu.Unlock()
	timer := time.NewTimer(outputDrain)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
}

// lineWriter is the stream of one WebAssembly instance; it hands on whole lines, so that those of instances that run
// at the same time do not mix.
type lineWriter struct {
	to      *output
	pending []byte
	see     func(line []byte) // looks at every line, or nil
	halted  func() bool       // tells whether the instance is to stop
}

var errHalted = errors.New("the call has ended")

// Write implements io.Writer. It fails only when the instance is to stop: one WASI call can name the same megabytes
// thousands of times.
func (w *lineWriter) Write(p []byte) (int, error) {
	if w.halted() {
		return 0, errHalted
	}
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, outputLine-len(w.pending))
		w.pending = append(w.pending, p[:end]...)
		p = p[end:]
		if w.pending[len(w.pending)-1] == '\n' || len(w.pending) == outputLine {
			w.flush()
		}
	}
	return n, nil
}

// flush hands on an unfinished line.
func (w *lineWriter) flush() {
	if len(w.pending) == 0 {
		return
	}
	if w.see != nil {
		w.see(w.pending)
	}
	w.to.line(w.pending)
	w.pending = w.pending[:0]
}
