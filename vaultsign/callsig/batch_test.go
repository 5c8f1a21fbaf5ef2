package callsig

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"countersign/vaultsign/identity"
)

// batchOf signs n calls together.
func batchOf(tb testing.TB, p *pair, n int) []*SignedCall {
	tb.Helper()
	signer := NewSigner(p.quote)
	var list []*SignedCall
	var batch []Unsigned
	for i := range n {
		call := p.call()
		call.ID = fmt.Sprintf("call-%d", i)
		sc, err := PrepareCall(signer, call, p.now)
		must(tb, err)
		list = append(list, sc)
		batch = append(batch, Unsigned{Call: sc})
	}
	must(tb, SignBatch(signer, batch))
	return list
}

func (p *pair) batchKey(replay *ReplayCache) *BatchKey {
	return NewBatchKey(NewKey(p.quote.Certificate, replay))
}

// TestBatch signs calls and their returns together, in batches of many sizes, and verifies each.
func TestBatch(t *testing.T) {
	p := newPair(t)
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 100, 255, MaxBatch} {
		callKey, returnKey := p.batchKey(ResumeReplayCache(0, p.now, nil)), NewBatchKey(NewKey(p.tax.Certificate, nil))
		signer := NewSigner(p.tax)
		var batch []Unsigned
		for i, sc := range batchOf(t, p, n) {
			key, want := Key(callKey), Ed25519Batch
			if n == 1 {
				key, want = callKey.CertificateKey, Ed25519
			}
			if sc.Signature.Algorithm != want {
				t.Fatalf("%d messages are signed with %s", n, sc.Signature.Algorithm)
			}
			if err := VerifyCall(key, p.tax.ID(), sc, p.now); err != nil {
				t.Fatalf("call %d of %d: %v", i, n, err)
			}
			wantReason(t, VerifyCall(key, p.tax.ID(), sc, p.now), ReasonReplayed)
			sr, err := PrepareReturn(signer, sc, Return{Status: 200, Body: []byte("ok")}, p.now)
			must(t, err)
			batch = append(batch, Unsigned{Call: sc, Return: sr})
		}
		must(t, SignBatch(signer, batch))
		if n > 1 && len(callKey.roots) != 1 {
			t.Errorf("a batch of %d has %d roots", n, len(callKey.roots))
		}
		for i, m := range batch {
			key := Key(returnKey)
			if n == 1 {
				key = returnKey.CertificateKey
			}
			if err := VerifyReturn(key, m.Call, m.Return, p.now); err != nil {
				t.Fatalf("return %d of %d: %v", i, n, err)
			}
			if n > 1 {
				err := VerifyReturn(key, m.Call, batch[(i+1)%n].Return, p.now)
				wantReason(t, err, ReasonWrongCall)
			}
		}
	}
	for _, n := range []int{0, MaxBatch + 1} {
		if SignBatch(NewSigner(p.quote), make([]Unsigned, n)) == nil {
			t.Errorf("a batch of %d is signed", n)
		}
	}
}

// TestForgedBatch changes what the signature of a batch is made of. Nothing of it verifies, whether or not the batch's
// root is known already.
func TestForgedBatch(t *testing.T) {
	p := newPair(t)
	other := newPair(t)
	const n = 6 // the path of the last two leaves is shorter
	type edit func(list []*SignedCall, sc *SignedCall)
	value := func(f func(v []byte) []byte) edit {
		return func(_ []*SignedCall, sc *SignedCall) { sc.Signature.Value = f(slices.Clone(sc.Signature.Value)) }
	}
	put := func(at int, x uint32) edit {
		return value(func(v []byte) []byte { binary.BigEndian.PutUint32(v[at:], x); return v })
	}
	for name, test := range map[string]struct {
		edit   edit
		reason Reason
	}{
		"untouched":            {func([]*SignedCall, *SignedCall) {}, ""},
		"wrong leaf":           {func(_ []*SignedCall, sc *SignedCall) { sc.Call.Hops++ }, ReasonBadSignature},
		"another leaf's path":  {func(l []*SignedCall, sc *SignedCall) { sc.Signature.Value = l[3].Signature.Value }, ReasonBadSignature},
		"another call's nonce": {func(l []*SignedCall, sc *SignedCall) { sc.Signature.Nonce = l[3].Signature.Nonce }, ReasonBadSignature},
		"forged path":          {value(func(v []byte) []byte { v[batchHead+40] ^= 1; return v }), ReasonBadSignature},
		"forged signature":     {value(func(v []byte) []byte { v[3] ^= 1; return v }), ReasonBadSignature},
		"another index":        {put(68, 2), ReasonBadSignature},
		"index out of range":   {put(68, n), ReasonBadSignature},
		"huge index":           {put(68, 1<<31), ReasonBadSignature},
		"another count":        {put(64, 8), ReasonBadSignature},
		"a smaller count":      {put(64, 2), ReasonBadSignature},
		"count of one":         {put(64, 1), ReasonBadSignature},
		"count of none":        {put(64, 0), ReasonBadSignature},
		"huge count":           {put(64, 1<<32-1), ReasonBadSignature},
		"path cut short":       {value(func(v []byte) []byte { return v[:len(v)-hashSize] }), ReasonBadSignature},
		"path cut within":      {value(func(v []byte) []byte { return v[:len(v)-1] }), ReasonBadSignature},
		"path too long":        {value(func(v []byte) []byte { return append(v, v[len(v)-hashSize:]...) }), ReasonBadSignature},
		"no path":              {value(func(v []byte) []byte { return v[:batchHead] }), ReasonBadSignature},
		"a plain signature":    {value(func(v []byte) []byte { return v[:64] }), ReasonBadSignature},
		"said to be plain":     {func(_ []*SignedCall, sc *SignedCall) { sc.Signature.Algorithm = Ed25519 }, ReasonWrongAlgorithm},
		"of another signer":    {func(_ []*SignedCall, sc *SignedCall) { sc.Signature.Value = batchOf(t, other, n)[1].Signature.Value }, ReasonBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{false, true} {
				key := p.batchKey(ResumeReplayCache(0, p.now, nil))
				list := batchOf(t, p, n)
				if known {
					must(t, VerifyCall(key, p.tax.ID(), list[0], p.now))
				}
				test.edit(list, list[1])
				wantReason(t, VerifyCall(key, p.tax.ID(), list[1], p.now), test.reason)
			}
		})
	}
}

// TestBatchIsNoOtherSignature: what is signed for a batch passes for nothing else, and the other way round.
func TestBatchIsNoOtherSignature(t *testing.T) {
	p := newPair(t)
	sc := batchOf(t, p, 4)[0]
	wantReason(t, VerifyCall(NewKey(p.quote.Certificate, ResumeReplayCache(0, p.now, nil)), p.tax.ID(), sc, p.now), ReasonWrongAlgorithm)
	wantReason(t, VerifyCall(p.callee, p.tax.ID(), sc, p.now), ReasonUnknownKey)
	plain, err := SignCall(NewSigner(p.quote), p.call(), p.now)
	must(t, err)
	wantReason(t, VerifyCall(p.batchKey(ResumeReplayCache(0, p.now, nil)), p.tax.ID(), plain, p.now), ReasonWrongAlgorithm)
	// Two leaves side by side are no leaf: an inner node does not verify as a message.
	leaves := [2][hashSize]byte{leafOf([]byte("a")), leafOf([]byte("b"))}
	inner := nodeOf(&leaves[0], &leaves[1])
	if leafOf(append(leaves[0][:], leaves[1][:]...)) == inner {
		t.Error("a leaf is a node")
	}
	if bytes.HasPrefix(rootBase(inner, 2), []byte(`"`)) {
		t.Error("what is signed for a batch begins like a signature base")
	}
}

// TestBatchFromOutside: over HTTP nobody agreed on batches.
func TestBatchFromOutside(t *testing.T) {
	p := newPair(t)
	r, err := http.NewRequest("POST", "http://node/call/tax", nil)
	must(t, err)
	sc, err := SignRequest(r, NewSigner(p.quote), p.call(), p.now)
	must(t, err)
	together := batchOf(t, p, 2)
	sc.Signature = together[0].Signature
	setSignature(r.Header, NewSigner(p.quote), &sc.Signature, appendParams(nil, sc.covers(), &sc.Signature, TagCall))
	if !strings.Contains(r.Header.Get("Signature-Input"), `alg="ed25519-batch"`) {
		t.Fatal("the request is not what this test is about")
	}
	v := Verifier{Trust: func() *identity.Bundle { return p.ca.Bundle }, Replay: ResumeReplayCache(0, p.now, nil)}
	_, err = v.VerifyRequest(r, sc.Call.Body, p.tax.ID())
	wantReason(t, err, ReasonWrongAlgorithm)
}

// TestTree compares the tree with the definition in RFC 9162 section 2.1.1.
func TestTree(t *testing.T) {
	var hash func(leaves [][hashSize]byte) [hashSize]byte
	hash = func(leaves [][hashSize]byte) [hashSize]byte {
		if len(leaves) == 1 {
			return leaves[0]
		}
		k := 1
		for 2*k < len(leaves) {
			k *= 2
		}
		left, right := hash(leaves[:k]), hash(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
	for n := 1; n <= MaxBatch; n++ {
		var made tree
		for i := range n {
			made.add(leafOf([]byte{byte(i)}))
		}
		root := made.build()
		if root != hash(made.levels[0]) {
			t.Fatalf("the root of %d leaves is another one", n)
		}
		if made.depth() > maxDepth {
			t.Fatalf("%d leaves are %d deep", n, made.depth())
		}
		for i := range n {
			if got, ok := rootOf(made.levels[0][i], n, i, made.appendPath(nil, i)); !ok || got != root {
				t.Fatalf("the path of leaf %d of %d leads elsewhere", i, n)
			}
		}
	}
}

// TestRootsAreBounded: a peer that makes up roots does not fill the memory.
func TestRootsAreBounded(t *testing.T) {
	p := newPair(t)
	key := p.batchKey(ResumeReplayCache(0, p.now, nil))
	for range 2 * maxRoots {
		sc := batchOf(t, p, 2)[0]
		sc.Signature.Value[0] ^= 1
		wantReason(t, VerifyCall(key, p.tax.ID(), sc, p.now), ReasonBadSignature)
	}
	if len(key.roots) > maxRoots {
		t.Errorf("%d roots are remembered", len(key.roots))
	}
	must(t, VerifyCall(key, p.tax.ID(), batchOf(t, p, 2)[1], p.now))
}
