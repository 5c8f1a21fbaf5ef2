package delta

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
)

// The streams of a delta, in their order.
const (
	control = iota // regions: bytes to copy, new bytes after them, and how far to move on in the version before
	gaps           // unchanged bytes before each changed one, in all that is copied
	values         // what is added to each changed byte, modulo 256
	fresher        // new bytes
	streams
)

// FormatError says that a delta is damaged, or was not made for this version.
type FormatError struct{ Reason string }

// Error implements error.
func (e *FormatError) Error() string { return "apply a delta: " + e.Reason }

// Apply returns what a delta makes of a version, of which the size is known. Whatever a delta says, it takes no more memory than the
// result, and no more time than a few times its size is worth. The error is a *FormatError.
func Apply(from, delta []byte, size int64) ([]byte, error) {
	if len(from) > MaxSize || size < 0 || size > MaxSize {
		return nil, &FormatError{fmt.Sprintf("the versions have %d and %d bytes, and at most %d", len(from), size, MaxSize)}
	}
	p := &patch{from: from, to: make([]byte, 0, size), size: int(size)}
	err := p.open(delta)
	if err != nil {
		return nil, err
	}
	if p.next, err = p.gap(); err != nil {
		return nil, err
	}
	for p.more(control) {
		if err := p.region(); err != nil {
			return nil, err
		}
	}
	if len(p.to) != p.size {
		return nil, &FormatError{fmt.Sprintf("it makes %d of %d bytes", len(p.to), p.size)}
	}
	for i := range p.streams {
		if err := p.streams[i].end(); err != nil {
			return nil, err
		}
	}
	if p.next >= 0 {
		return nil, errMore
	}
	return p.to, nil
}

var (
	errMore   = &FormatError{"it has more than it uses"}
	errNumber = &FormatError{"a number is damaged or out of range"}
)

// stream is one of the streams, which is unpacked as it is read: what it unpacks to may be far larger than what it is for.
type stream struct {
	*bufio.Reader
	packed   *bytes.Reader
	unpacked *io.LimitedReader
}

// end refuses what is left of a stream.
func (s stream) end() error {
	_, err := s.Peek(1)
	switch {
	case err == nil || s.packed.Len() > 0:
		return errMore
	case s.unpacked.N <= 0:
		return &FormatError{"it is far too large for what it makes"}
	case err != io.EOF:
		return &FormatError{err.Error()}
	}
	return nil
}

// patch is a delta that is being applied.
type patch struct {
	from, to []byte
	size     int
	at       int // in from
	next     int // unchanged bytes until the next changed one; -1: none changes any more
	streams  [streams]stream
}

// open finds the streams. Each has at most a few bytes for one of the result.
func (p *patch) open(delta []byte) error {
	rest, ok := bytes.CutPrefix(delta, []byte(magic))
	if !ok {
		return &FormatError{"it is not a delta of this format"}
	}
	var lengths [streams]int
	for i := range lengths {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)) {
			return &FormatError{"it ends early"}
		}
		lengths[i], rest = int(n), rest[used:]
	}
	for i, n := range lengths {
		if n > len(rest) {
			return &FormatError{"it ends early"}
		}
		packed := bytes.NewReader(rest[:n])
		unpacked := &io.LimitedReader{R: flate.NewReader(packed), N: 4*int64(p.size) + 1024}
		p.streams[i], rest = stream{bufio.NewReader(unpacked), packed, unpacked}, rest[n:]
	}
	if len(rest) > 0 {
		return &FormatError{"there is something after its end"}
	}
	return nil
}

// more tells whether a stream goes on.
func (p *patch) more(stream int) bool {
	_, err := p.streams[stream].Peek(1)
	return err == nil
}

// number reads a number of a stream that is at most limit.
func (p *patch) number(stream, limit int) (int, error) {
	n, err := binary.ReadUvarint(p.streams[stream].Reader)
	if err != nil || n > uint64(limit) {
		return 0, errNumber
	}
	return int(n), nil
}

// gap reads how many bytes are unchanged before the next changed one.
func (p *patch) gap() (int, error) {
	if !p.more(gaps) {
		return -1, nil
	}
	return p.number(gaps, MaxSize)
}

// region makes one region and the new bytes after it.
func (p *patch) region() error {
	copied, err := p.number(control, p.size-len(p.to))
	if err != nil {
		return err
	}
	if p.at < 0 || p.at > len(p.from) || copied > len(p.from)-p.at {
		return &FormatError{"it copies what is not there"}
	}
	begin := len(p.to)
	p.to = append(p.to, p.from[p.at:p.at+copied]...)
	if err := p.change(p.to[begin:]); err != nil {
		return err
	}
	fresh, err := p.number(control, p.size-len(p.to))
	if err != nil {
		return err
	}
	begin = len(p.to)
	p.to = p.to[:begin+fresh]
	if _, err := io.ReadFull(p.streams[fresher].Reader, p.to[begin:]); err != nil {
		return &FormatError{"it has fewer new bytes than it uses: " + err.Error()}
	}
	move, err := binary.ReadVarint(p.streams[control].Reader)
	if err != nil || move > 2*MaxSize || move < -2*MaxSize {
		return errNumber
	}
	p.at += copied + int(move)
	return nil
}

// change changes the bytes of a region.
func (p *patch) change(region []byte) (err error) {
	for p.next >= 0 && p.next < len(region) {
		value, err := p.streams[values].ReadByte()
		if err != nil {
			return &FormatError{"it has fewer values than changes: " + err.Error()}
		}
		region[p.next] += value
		region = region[p.next+1:]
		if p.next, err = p.gap(); err != nil {
			return err
		}
	}
	if p.next >= 0 {
		p.next -= len(region)
	}
	return nil
}
