package link

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// timing is how a connection notices a peer that is gone without saying so. Tests have less patience.
type timing struct {
	tick  time.Duration // how often it looks
	probe int           // ticks without a byte from an idle peer after which it is asked for one
	dead  int           // ticks without a byte from a peer that owes one after which it is given up
	write time.Duration // within which a peer takes a chunk
}

var defaultTiming = timing{tick: time.Second, probe: 15, dead: 3, write: 10 * time.Second}

var (
	errSilent = errors.New("the peer has fallen silent")
	errClosed = errors.New("the connection was closed")
)

// conn is what both ends of a connection do: write frames, read frames, notice a peer that is gone.
type conn struct {
	tls    *tls.Conn
	in     *bufio.Reader
	out    *writer
	timing timing
	peer   *keys

	activity atomic.Uint64 // grows with each read from the peer and each chunk that it takes
	partial  atomic.Bool   // a frame has begun to arrive
	probed   atomic.Bool   // a pong is owed

	once  sync.Once
	ended chan struct{}
	cause error // set before ended is closed
}

func newConn(c *tls.Conn, peer *keys, batch int, t timing) *conn {
	out := &conn{tls: c, timing: t, peer: peer, ended: make(chan struct{})}
	out.in = bufio.NewReaderSize(out, 32<<10)
	out.out = newWriter(c, batch, t.write, func() { out.activity.Add(1) })
	return out
}

// Read implements io.Reader: it reads from the connection and notes that the peer is there.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.tls.Read(p)
	if n > 0 {
		c.activity.Add(1)
	}
	return n, err
}

// fail ends the connection. The first reason counts.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		c.cause = err
		close(c.ended)
		c.out.stop(err)
		// Not c.tls.Close, which would wait for a peer that does not read.
		c.tls.NetConn().Close()
	})
}

// write runs the writer; its end is that of the connection.
func (c *conn) write() {
	if err := c.out.run(); err != nil {
		c.fail(fmt.Errorf("write: %w", err))
		return
	}
	c.tls.Close()
	c.fail(errClosed)
}

// watch ends the connection when the peer owes something and falls silent. busy reports whether calls are under way,
// idle is told how long there have been none. Silence is counted in ticks, so that a process that was paused itself does
// not blame its peers.
func (c *conn) watch(busy func() bool, idle func(time.Duration)) {
	ticker := time.NewTicker(c.timing.tick)
	defer ticker.Stop()
	seen, silent, quiet, unused := uint64(0), 0, 0, 0
	for {
		select {
		case <-c.ended:
			return
		case <-ticker.C:
		}
		quiet++
		now := c.activity.Load()
		if now != seen {
			seen, quiet = now, 0
		}
		unused++
		if busy() || c.partial.Load() {
			unused = 0
		} else {
			idle(time.Duration(unused) * c.timing.tick)
		}
		if unused > 0 && !c.probed.Load() {
			silent = 0
			if quiet < c.timing.probe {
				continue
			}
			c.probed.Store(true)
		}
		if silent++; quiet == 0 {
			silent = 0
		}
		if silent >= c.timing.dead {
			c.fail(errSilent)
			return
		}
		c.out.push(outgoing{kind: kindPing})
	}
}

// frame is one frame without its length.
type frame struct {
	kind    kind
	stream  uint64
	payload []byte
}

// next reads a frame. limit tells how long the payload of a kind may be; what it returns may be kept.
func (c *conn) next(limit func(kind) int64) (frame, error) {
	var header [lengthSize + headerSize]byte
	if _, err := io.ReadFull(c.in, header[:1]); err != nil {
		return frame{}, err
	}
	c.partial.Store(true)
	defer c.partial.Store(false)
	if _, err := io.ReadFull(c.in, header[1:]); err != nil {
		return frame{}, cut(err)
	}
	f := frame{kind: kind(header[lengthSize]), stream: binary.BigEndian.Uint64(header[lengthSize+1:])}
	length := int64(binary.BigEndian.Uint32(header[:])) - headerSize
	switch most := limit(f.kind); {
	case length < 0:
		return frame{}, malformed("a length of %d bytes is shorter than a header", length+headerSize)
	case most < 0:
		return frame{}, malformed("kind %d is unknown or does not belong here", f.kind)
	case length > most:
		return frame{}, malformed("%d bytes in a frame of kind %d; at most %d are taken", length, f.kind, most)
	}
	var err error
	if f.payload, err = c.payload(length); err != nil {
		return frame{}, cut(err)
	}
	return f, nil
}

// trusting is how much memory is given to a length that was only announced.
const trusting = 256 << 10

// payload reads n bytes. A long payload gets its memory as it arrives.
func (c *conn) payload(n int64) ([]byte, error) {
	out := make([]byte, min(n, trusting))
	for at := int64(0); at < n; {
		got, err := io.ReadFull(c.in, out[at:])
		if at += int64(got); err != nil {
			return nil, err
		}
		if at < n {
			grown := make([]byte, min(n, 4*at))
			copy(grown, out)
			out = grown
		}
	}
	return out, nil
}

// cut turns the end of the connection within a frame into what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the connection ended within a frame")
	}
	return err
}

// control handles the frames that mean the same at both ends, and reports whether f was one.
func (c *conn) control(f frame, now time.Time) (bool, error) {
	switch f.kind {
	case kindPing:
		_, err := c.out.push(outgoing{kind: kindPong})
		return true, err
	case kindPong:
		c.probed.Store(false)
		return true, nil
	case kindCertificate:
		return true, c.peer.learn(f.payload, now)
	}
	return false, nil
}
