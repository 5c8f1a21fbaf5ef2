package delta

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

const (
	// magic begins every delta; the digit is the version of the format.
	magic = "countersign-delta1\n"
	// window is how many bytes have to be the same for a region to be found.
	window = 16
	// better is how many bytes more than the present alignment another one has to match to be taken.
	better = 8
	// MaxSize bounds both versions, in bytes.
	MaxSize = 128 << 20
	// maxWidth bounds the table of windows, to 128 MiB. With more of them than it has places, some are not found.
	maxWidth = 25
	// maxWork bounds the time: how often, on average, a byte of both versions is looked at, or eight at a time. Real programs need
	// about one; where the same bytes repeat and repeat, the search would take hours.
	maxWork = 16
)

// errCostly says that versions were given up.
var errCostly = errors.New("make a delta: the versions have so much in common, in so many places, that the best would take too long to find")

// Make returns the delta from one version to another, each of at most MaxSize bytes. The same versions give the same delta, with the
// same release of this package.
func Make(from, to []byte) ([]byte, error) {
	if len(from) > MaxSize || len(to) > MaxSize {
		return nil, fmt.Errorf("make a delta: the versions have %d and %d bytes, and at most %d", len(from), len(to), MaxSize)
	}
	m := &maker{from: from, to: to, work: maxWork*(len(from)+len(to)) + 1<<20}
	m.index()
	m.scan()
	if m.work < 0 {
		return nil, errCostly
	}
	return m.encode()
}

// maker finds what the regions of a version are in another.
type maker struct {
	from, to []byte
	table    []int32 // hash of a window -> 1 + where it first is in from
	shift    uint
	work     int // that is left; it is given up below 0

	begin, base int // what was not written yet: from begin in to, which is aligned with base in from
	gap         uint64
	streams     [streams][]byte
}

// hash mixes the bytes of a window.
func (m *maker) hash(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[8:])*0xc2b2ae3d27d4eb4f, 31)
	return (x ^ x>>29) * 0xbf58476d1ce4e5b9 >> m.shift
}

func (m *maker) index() {
	width := min(max(bits.Len(uint(len(m.from))), 8), maxWidth)
	m.table, m.shift = make([]int32, 1<<width), uint(64-width)
	for i := len(m.from) - window; i >= 0; i-- {
		m.table[m.hash(m.from[i:])] = int32(i) + 1
	}
}

// match returns where from matches to at an offset, and how far: by the table, or as it is aligned if that goes further.
func (m *maker) match(at, aligned int) (where, length int) {
	if at+window <= len(m.to) {
		if i := int(m.table[m.hash(m.to[at:])]) - 1; i >= 0 {
			where, length = i, m.same(m.from[i:], m.to[at:])
		}
	}
	if length < window {
		where, length = 0, 0 // two windows with one hash
	}
	if aligned >= 0 && aligned < len(m.from) && aligned != where {
		if n := m.same(m.from[aligned:], m.to[at:]); n > length {
			where, length = aligned, n
		}
	}
	return where, length
}

// same returns how many bytes two slices have in common at their beginnings.
func (m *maker) same(a, b []byte) (i int) {
	defer func() { m.work -= 1 + i/8 }()
	n := min(len(a), len(b))
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// scan walks through to. An alignment is kept until another one matches clearly more of what follows.
func (m *maker) scan() {
	offset := 0 // of from against to, as it is aligned
	equal := func(i int) bool {
		at := i + offset
		return at >= 0 && at < len(m.from) && m.from[at] == m.to[i]
	}
	for at, length := 0, 0; at < len(m.to) && m.work >= 0; {
		at += length
		score, counted, where := 0, at, 0
		for ; at < len(m.to) && m.work >= 0; at++ {
			where, length = m.match(at, at+offset)
			for ; counted < at+length; counted++ {
				if equal(counted) {
					score++
				}
			}
			if length > 0 && length == score || length > score+better {
				break
			}
			if equal(at) {
				score--
			}
		}
		if length != score || at >= len(m.to) {
			m.write(min(at, len(m.to)), where)
			offset = m.base - m.begin
		}
	}
}

// write writes the region from begin on, and what is new after it, up to where the next one begins: that at in to, which is aligned
// with where in from.
func (m *maker) write(at, where int) {
	forward, backward := m.forward(at), 0
	if at < len(m.to) {
		backward = m.backward(at, where)
	}
	m.work -= 3 * (at - m.begin) // at most, with the division
	if over := m.begin + forward - (at - backward); over > 0 {
		keep := m.divide(over, forward, backward, at, where)
		forward, backward = forward-over+keep, backward-keep
	}
	for i := range forward {
		if d := m.to[m.begin+i] - m.from[m.base+i]; d != 0 {
			m.streams[gaps] = binary.AppendUvarint(m.streams[gaps], m.gap)
			m.streams[values] = append(m.streams[values], d)
			m.gap = 0
			continue
		}
		m.gap++
	}
	fresh := m.to[m.begin+forward : at-backward]
	m.streams[fresher] = append(m.streams[fresher], fresh...)
	c := binary.AppendUvarint(m.streams[control], uint64(forward))
	c = binary.AppendUvarint(c, uint64(len(fresh)))
	m.streams[control] = binary.AppendVarint(c, int64(where-backward-(m.base+forward)))
	m.begin, m.base = at-backward, where-backward
}

// forward returns how far the region goes on beyond what matches: as long as more than half of it does.
func (m *maker) forward(at int) (length int) {
	score, best := 0, 0
	for i := 0; m.begin+i < at && m.base+i < len(m.from); i++ {
		if m.from[m.base+i] == m.to[m.begin+i] {
			score++
		}
		if value := 2*score - (i + 1); value > best {
			best, length = value, i+1
		}
	}
	return length
}

// backward returns how much earlier the next region may begin.
func (m *maker) backward(at, where int) (length int) {
	score, best := 0, 0
	for i := 1; at-i >= m.begin && where-i >= 0; i++ {
		if m.from[where-i] == m.to[at-i] {
			score++
		}
		if value := 2*score - i; value > best {
			best, length = value, i
		}
	}
	return length
}

// divide returns how many of the bytes that both the region before and the next one cover are of the first.
func (m *maker) divide(over, forward, backward, at, where int) (keep int) {
	score, best := 0, 0
	for i := range over {
		first, next := m.begin+forward-over+i, at-backward+i
		if m.to[first] == m.from[m.base+forward-over+i] {
			score++
		}
		if m.to[next] == m.from[where-backward+i] {
			score--
		}
		if score > best {
			best, keep = score, i+1
		}
	}
	return keep
}

// encode packs the streams.
func (m *maker) encode() ([]byte, error) {
	out := []byte(magic)
	var packed [streams]bytes.Buffer
	w, err := flate.NewWriter(nil, flate.BestCompression) // one for all: each takes more than a megabyte
	if err != nil {
		return nil, fmt.Errorf("make a delta: %w", err)
	}
	for i, s := range m.streams {
		w.Reset(&packed[i])
		if _, err := w.Write(s); err != nil {
			return nil, fmt.Errorf("make a delta: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("make a delta: %w", err)
		}
		out = binary.AppendUvarint(out, uint64(packed[i].Len()))
	}
	for i := range packed {
		out = append(out, packed[i].Bytes()...)
	}
	return out, nil
}
