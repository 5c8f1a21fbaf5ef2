// Package output carries what functions print to readers that may be slow or stuck.
//
// It owns buffering, whole lines, what stands before each of them, and the count of what was dropped. It must not know who
// prints or who reads.
package output

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	buffer      = 256 << 10 // bytes of a stream that wait for a slow reader
	longestLine = 16 << 10  // a longer line is passed on as several
	drain       = time.Second
)

// NoCall stands in a log where a call's ID would, before a line that is of no call, or of one that is not known.
const NoCall = "-"

// stamp is the time before each line: RFC 3339, always as long.
const stamp = "2006-01-02T15:04:05.000Z"

// Held is the most bytes that a Stream and its one Lines hold: what waits, what is being written, and an unfinished line.
const Held = 2*buffer + longestLine + 1

// Stream is one stream of a function on its way to a reader that may be slow or stuck: what does not fit into the
// buffer is dropped and counted, and the function never waits.
type Stream struct {
	mu      sync.Mutex
	wake    *sync.Cond
	buf     []byte
	lost    int64 // bytes dropped since the last that was written
	dropped int64 // in all
	closed  bool
	done    chan struct{} // closed when the last has been written
}

// New starts writing to w; a nil w discards.
func New(w io.Writer) *Stream {
	s := &Stream{done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	if w == nil {
		w = io.Discard
	}
	go s.run(w)
	return s
}

func (s *Stream) run(w io.Writer) {
	defer close(s.done)
	var batch []byte
	for {
		s.mu.Lock()
		for len(s.buf) == 0 && s.lost == 0 && !s.closed {
			s.wake.Wait()
		}
		batch, s.buf = s.buf, batch[:0]
		lost := s.lost
		s.lost = 0
		closed := s.closed
		s.mu.Unlock()
		if lost > 0 {
			batch = time.Now().UTC().AppendFormat(batch, stamp)
			batch = fmt.Appendf(batch, " %s [%d bytes of output were dropped: the reader was too slow]\n", NoCall, lost)
		}
		if len(batch) == 0 && closed {
			return
		}
		if _, err := w.Write(batch); err != nil {
			// Nobody reads any more. The function goes on; what it says is counted as dropped.
			s.mu.Lock()
			s.dropped += int64(len(batch))
			s.mu.Unlock()
		}
	}
}

// line takes one line of a call.
func (s *Stream) line(call string, line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(stamp) + 1 + len(call) + 1 + len(line)
	if s.closed || len(s.buf)+size > buffer || s.lost > 0 {
		s.lost += int64(size)
		s.dropped += int64(size)
		return
	}
	s.buf = time.Now().UTC().AppendFormat(s.buf, stamp)
	s.buf = append(append(append(s.buf, ' '), call...), ' ')
	s.buf = append(s.buf, line...)
	s.wake.Signal()
}

// Dropped returns how many bytes nobody read in time.
func (s *Stream) Dropped() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Close writes what waits, for at most a second: a stuck reader does not hold up the end of a function.
func (s *Stream) Close() {
	s.mu.Lock()
	s.closed = true
	s.wake.Signal()
	s.mu.Unlock()
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	}
}

// Lines is a writer to a Stream that hands on whole lines, so that those of writers that run at the same time do not
// mix. Before each it puts the time and the ID of the call, so that no line can pass for one of another call. It is for
// one goroutine at a time.
type Lines struct {
	To      *Stream
	Call    func() string     // ID of the call that is being handled, or ""; nil where it is not known
	See     func(line []byte) // looks at every line, or nil
	Halted  func() bool       // tells whether the writer is to stop, or nil
	pending []byte
}

// errHalted is what Write fails with when Halted says so.
var errHalted = errors.New("the call has ended")

// Write implements io.Writer. It fails only when the sandbox is to stop: one WASI call can name the same megabytes
// thousands of times.
func (w *Lines) Write(p []byte) (int, error) {
	if w.Halted != nil && w.Halted() {
		return 0, errHalted
	}
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, longestLine-len(w.pending))
		w.pending = append(w.pending, p[:end]...)
		p = p[end:]
		if w.pending[len(w.pending)-1] == '\n' || len(w.pending) == longestLine {
			w.Flush()
		}
	}
	return n, nil
}

// Flush hands on an unfinished line, and ends it: the next that is written is a line of its own.
func (w *Lines) Flush() {
	if len(w.pending) == 0 {
		return
	}
	if w.See != nil {
		w.See(w.pending)
	}
	if w.pending[len(w.pending)-1] != '\n' {
		w.pending = append(w.pending, '\n')
	}
	call := NoCall
	if w.Call != nil {
		call = cmp.Or(w.Call(), NoCall)
	}
	w.To.line(call, w.pending)
	w.pending = w.pending[:0]
}
