package delta

import (
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

// Apply returns what a delta makes of a version, of which the size is known. Whatever a delta says, no more memory is used than for
// a few times that size and that of the version before. The error is a *FormatError.
func Apply(from, delta []byte, size int64) ([]byte, error) {
	if len(from) > MaxSize || size < 0 || size > MaxSize {
		return nil, &FormatError{fmt.Sprintf("the versions have %d and %d bytes, and at most %d", len(from), size, MaxSize)}
	}
	s, err := unpack(delta, size)
	if err != nil {
		return nil, err
	}
	p := &patch{from: from, to: make([]byte, 0, size), size: int(size), streams: s}
	if p.next, err = p.gap(); err != nil {
		return nil, err
	}
	for len(p.streams[control]) > 0 {
		if err := p.region(); err != nil {
			return nil, err
		}
	}
	switch {
	case len(p.to) != p.size:
		return nil, &FormatError{fmt.Sprintf("it makes %d of %d bytes", len(p.to), p.size)}
	case len(p.streams[fresher]) > 0 || len(p.streams[values]) > 0:
		return nil, &FormatError{"it has more than it uses"}
	}
	return p.to, nil
}

// unpack reads the streams. Each has at most a few bytes for one of the result.
func unpack(delta []byte, size int64) (s [streams][]byte, err error) {
	rest, ok := bytes.CutPrefix(delta, []byte(magic))
	if !ok {
		return s, &FormatError{"it is not a delta of this format"}
	}
	var lengths [streams]int
	for i := range lengths {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)) {
			return s, &FormatError{"it ends early"}
		}
		lengths[i], rest = int(n), rest[used:]
	}
	limit := 4*size + 1024
	for i, n := range lengths {
		if n > len(rest) {
			return s, &FormatError{"it ends early"}
		}
		packed := bytes.NewReader(rest[:n])
		unpacked, err := io.ReadAll(io.LimitReader(flate.NewReader(packed), limit+1))
		switch {
		case err != nil:
			return s, &FormatError{err.Error()}
		case int64(len(unpacked)) > limit:
			return s, &FormatError{"it is far too large for what it makes"}
		case packed.Len() > 0:
			return s, &FormatError{"there is something after the end of a stream"}
		}
		s[i], rest = unpacked, rest[n:]
	}
	if len(rest) > 0 {
		return s, &FormatError{"there is something after its end"}
	}
	return s, nil
}

// patch is a delta that is being applied.
type patch struct {
	from, to []byte
	size     int
	at       int // in from
	next     int // unchanged bytes until the next changed one; -1: none changes any more
	streams  [streams][]byte
}

var errNumber = &FormatError{"a number is damaged or out of range"}

// number reads a number of a stream that is at most limit.
func (p *patch) number(stream, limit int) (int, error) {
	n, used := binary.Uvarint(p.streams[stream])
	if used <= 0 || n > uint64(limit) {
		return 0, errNumber
	}
	p.streams[stream] = p.streams[stream][used:]
	return int(n), nil
}

// gap reads how many bytes are unchanged before the next changed one.
func (p *patch) gap() (int, error) {
	if len(p.streams[gaps]) == 0 {
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
	fresh, err := p.number(control, min(p.size-len(p.to), len(p.streams[fresher])))
	if err != nil {
		return err
	}
	p.to = append(p.to, p.streams[fresher][:fresh]...)
	p.streams[fresher] = p.streams[fresher][fresh:]
	move, used := binary.Varint(p.streams[control])
	if used <= 0 || move > 2*MaxSize || move < -2*MaxSize {
		return errNumber
	}
	p.streams[control] = p.streams[control][used:]
	p.at += copied + int(move)
	return nil
}

// change changes the bytes of a region.
func (p *patch) change(region []byte) (err error) {
	for p.next >= 0 && p.next < len(region) {
		if len(p.streams[values]) == 0 {
			return errNumber
		}
		region[p.next] += p.streams[values][0]
		p.streams[values] = p.streams[values][1:]
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
