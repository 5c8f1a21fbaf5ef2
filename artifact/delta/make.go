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
)

// Make returns the delta from one version to another, each of at most MaxSize bytes. The same versions give the same delta, with the
// same release of this package.
func Make(from, to []byte) ([]byte, error) {
	if len(from) > MaxSize || len(to) > MaxSize {
		return nil, fmt.Errorf("make a delta: the versions have %d and %d bytes, and at most %d", len(from), len(to), MaxSize)
	}
	m := &maker{from: from, to: to}
	m.index()
	m.scan()
	return m.encode()
}

// maker finds what the regions of a version are in another.
type maker struct {
	from, to []byte
	table    []int32 // hash of a window -> 1 + where it first is in from
	shift    uint

	begin, base int // what was not written yet: from begin in to, which is aligned with base in from
	copied      int // bytes that regions had so far
	gap         uint64
	streams     [streams][]byte
}

// hash mixes the bytes of a window.
func (m *maker) hash(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[8:])*0xc2b2ae3d27d4eb4f, 31)
	return (x ^ x>>29) * 0xbf58476d1ce4e5b9 >> m.shift
}

func (m *maker) index() {
	width := max(bits.Len(uint(len(m.from))), 8)
	m.table, m.shift = make([]int32, 1<<width), uint(64-width)
	for i := len(m.from) - window; i >= 0; i-- {
		m.table[m.hash(m.from[i:])] = int32(i) + 1
	}
}

// match returns where from matches to at an offset, and how far: by the table, or as it is aligned if that goes further.
func (m *maker) match(at, aligned int) (where, length int) {
	if at+window <= len(m.to) {
		if i := int(m.table[m.hash(m.to[at:])]) - 1; i >= 0 {
			where, length = i, same(m.from[i:], m.to[at:])
		}
	}
	if length < window {
		where, length = 0, 0 // two windows with one hash
	}
	if aligned >= 0 && aligned < len(m.from) && aligned != where {
		if n := same(m.from[aligned:], m.to[at:]); n > length {
			where, length = aligned, n
		}
	}
	return where, length
}

// same returns how many bytes two slices have in common at their beginnings.
func same(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
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
	for at, length := 0, 0; at < len(m.to); {
		at += length
		score, counted, where := 0, at, 0
		for ; at < len(m.to); at++ {
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
	for i, s := range m.streams {
		w, err := flate.NewWriter(&packed[i], flate.BestCompression)
		if err == nil {
			_, err = w.Write(s)
			err = errors.Join(err, w.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("make a delta: %w", err)
		}
		out = binary.AppendUvarint(out, uint64(packed[i].Len()))
	}
	for i := range packed {
		out = append(out, packed[i].Bytes()...)
	}
	return out, nil
}
