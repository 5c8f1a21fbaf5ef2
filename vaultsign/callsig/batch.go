package callsig

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// MaxBatch is the most messages that one signature covers.
const MaxBatch = 256

// Unsigned is a message that waits for its signature: Call, or, if that is not nil, Return, which answers Call.
type Unsigned struct {
	Call   *SignedCall
	Return *SignedReturn
}

// SignBatch signs messages that PrepareCall and PrepareReturn made with the same signer: one with Ed25519, several with
// Ed25519Batch. It is an error to give it none, or more than MaxBatch.
func SignBatch(signer *IdentitySigner, batch []Unsigned) error {
	if n := len(batch); n == 0 || n > MaxBatch {
		return refuse(ReasonMalformed, "a batch has 1 to %d messages, not %d", MaxBatch, n)
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if len(batch) == 1 {
		if err := s.baseOf(batch[0], Ed25519); err != nil {
			return err
		}
		batch[0].setValue(signer.appendSignature(nil, calls, s.base))
		return nil
	}
	var t tree
	for _, m := range batch {
		if err := s.baseOf(m, Ed25519Batch); err != nil {
			return err
		}
		t.add(leafOf(s.base))
	}
	root := t.build()
	signature := signer.identity.Key.Sign(rootBase(root, len(batch)))
	for i, m := range batch {
		value := make([]byte, 0, batchHead+hashSize*t.depth())
		value = append(value, signature...)
		value = binary.BigEndian.AppendUint32(value, uint32(len(batch)))
		value = binary.BigEndian.AppendUint32(value, uint32(i))
		m.setValue(t.appendPath(value, i))
	}
	return nil
}

// baseOf makes the signature base of a message under an algorithm.
func (s *scratch) baseOf(m Unsigned, a Algorithm) error {
	if m.Return != nil {
		m.Return.Signature.Algorithm = a
		return s.returnBase(m.Call, m.Return)
	}
	m.Call.Signature.Algorithm = a
	return s.callBase(m.Call)
}

func (m Unsigned) setValue(value []byte) {
	if m.Return != nil {
		m.Return.Signature.Value = value
	} else {
		m.Call.Signature.Value = value
	}
}

const (
	hashSize = sha256.Size
	// batchHead is the part of a signature value before the path: signature, number of messages, index.
	batchHead = 64 + 4 + 4
	maxDepth  = 8 // of a tree with MaxBatch leaves
	// batchLabel tells what is signed for a batch from every other message that call keys sign.
	batchLabel = "countersign batch v1\n"
)

// rootBase is what the one Ed25519 signature of a batch signs.
func rootBase(root [hashSize]byte, count int) []byte {
	base := binary.BigEndian.AppendUint32([]byte(batchLabel), uint32(count))
	return append(base, root[:]...)
}

// leafOf and nodeOf hash as RFC 9162 section 2.1.1 does: no leaf is a node.
func leafOf(base []byte) (out [hashSize]byte) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(base)
	h.Sum(out[:0])
	return out
}

func nodeOf(left, right *[hashSize]byte) [hashSize]byte {
	var both [1 + 2*hashSize]byte
	both[0] = 1
	copy(both[1:], left[:])
	copy(both[1+hashSize:], right[:])
	return sha256.Sum256(both[:])
}

// tree is a Merkle tree by levels, leaves first. A node without a sibling moves up as it is, which makes the tree of
// RFC 9162 section 2.1.1.
type tree struct{ levels [][][hashSize]byte }

func (t *tree) add(leaf [hashSize]byte) {
	if len(t.levels) == 0 {
		t.levels = append(t.levels, nil)
	}
	t.levels[0] = append(t.levels[0], leaf)
}

// build makes the levels above the leaves and returns the root.
func (t *tree) build() [hashSize]byte {
	level := t.levels[0]
	for len(level) > 1 {
		next := make([][hashSize]byte, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			next = append(next, nodeOf(&level[i], &level[i+1]))
		}
		if len(level)%2 == 1 {
			next = append(next, level[len(level)-1])
		}
		t.levels = append(t.levels, next)
		level = next
	}
	return level[0]
}

func (t *tree) depth() int { return len(t.levels) - 1 }

// appendPath appends the siblings on the way from a leaf to the root.
func (t *tree) appendPath(dst []byte, index int) []byte {
	for _, level := range t.levels[:t.depth()] {
		if sibling := index ^ 1; sibling < len(level) {
			dst = append(dst, level[sibling][:]...)
		}
		index >>= 1
	}
	return dst
}

// rootOf follows a path from a leaf to the root. It reports false for a path that does not have the length that the
// leaf's place gives it.
func rootOf(leaf [hashSize]byte, count, index int, path []byte) ([hashSize]byte, bool) {
	at := leaf
	for width := count; width > 1; width = (width + 1) / 2 {
		if sibling := index ^ 1; sibling < width {
			if len(path) < hashSize {
				return at, false
			}
			other := [hashSize]byte(path)
			if path = path[hashSize:]; index&1 == 1 {
				at = nodeOf(&other, &at)
			} else {
				at = nodeOf(&at, &other)
			}
		}
		index >>= 1
	}
	return at, len(path) == 0
}

// maxRoots is how many roots a BatchKey remembers.
const maxRoots = 256

// BatchKey verifies Ed25519Batch signatures with the public key of a certificate. It remembers the roots that it has
// verified, so that a batch costs one verification. It is safe for concurrent use.
type BatchKey struct {
	*CertificateKey

	mu     sync.Mutex
	roots  map[rootKey]*root
	latest [maxRoots]rootKey // a ring of those in roots
	next   int
}

// rootKey is a root with all that its verification depends on.
type rootKey struct {
	signature [64]byte
	count     uint32
	hash      [hashSize]byte
}

type root struct {
	once  sync.Once
	valid bool
}

// NewBatchKey returns a key for batches that key's owner signed.
func NewBatchKey(key *CertificateKey) *BatchKey {
	return &BatchKey{CertificateKey: key, roots: map[rootKey]*root{}}
}

func (k *BatchKey) algorithm() Algorithm { return Ed25519Batch }

func (k *BatchKey) verify(d direction, base, value []byte) bool {
	if len(value) < batchHead || len(value) > batchHead+maxDepth*hashSize {
		return false
	}
	count := binary.BigEndian.Uint32(value[64:])
	index := binary.BigEndian.Uint32(value[68:])
	if count < 2 || count > MaxBatch || index >= count {
		return false
	}
	hash, ok := rootOf(leafOf(base), int(count), int(index), value[batchHead:])
	if !ok {
		return false
	}
	r := k.root(rootKey{[64]byte(value), count, hash})
	r.once.Do(func() { r.valid = k.CertificateKey.verify(d, rootBase(hash, int(count)), value[:64]) })
	return r.valid
}

// root finds a root, or begins to remember it in place of the one that is known for longest.
func (k *BatchKey) root(key rootKey) *root {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.roots[key]; r != nil {
		return r
	}
	delete(k.roots, k.latest[k.next])
	r := new(root)
	k.roots[key], k.latest[k.next] = r, key
	k.next = (k.next + 1) % maxRoots
	return r
}

var _ Key = (*BatchKey)(nil)

// PrepareCall does what SignCall does except for the signature, which SignBatch adds.
func PrepareCall(signer *IdentitySigner, call Call, now time.Time) (*SignedCall, error) {
	return prepareCall(signer, call, now)
}

// PrepareReturn does what SignReturn does except for the signature, which SignBatch adds.
func PrepareReturn(signer *IdentitySigner, sc *SignedCall, ret Return, now time.Time) (*SignedReturn, error) {
	return prepareReturn(signer, sc, ret, now)
}
