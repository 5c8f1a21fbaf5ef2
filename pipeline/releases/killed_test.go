package releases

import (
	"context"
	"errors"
	"io"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// mortalStore is a store whose writes end.
type mortalStore struct {
	*oci.Store
	*killed
}

func (m mortalStore) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	if !m.alive() {
		return errKilled
	}
	return m.Store.Push(ctx, d, r)
}

func (m mortalStore) Tag(ctx context.Context, d ocispec.Descriptor, tag string) error {
	if !m.alive() {
		return errKilled
	}
	return m.Store.Tag(ctx, d, tag)
}

// TestKilledAtEachWrite ends a deploy before each of its writes, with and without Consul's pointer lost before: the next one
// finds either the record before or the whole new one, and goes on from there.
func TestKilledAtEachWrite(t *testing.T) {
	for n := 0; ; n++ {
		s := newShelf(t)
		s.deploy(t, "1")
		head, err := s.Settle(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k, whole := &killed{left: n}, *s.Ledger
		s.Store, s.Pointer, s.Signer = mortalStore{whole.Store.(*oci.Store), k}, mortalPointer{whole.Pointer, k}, mortalSigner{whole.Signer, k}
		_, err = s.Append(t.Context(), head, of("2"))
		*s.Ledger = whole
		if err == nil {
			if n < 5 {
				t.Errorf("a deploy has %d writes only", n)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("killed at write %d: %v", n, err)
		}
		settled, err := s.Settle(t.Context())
		if err != nil {
			t.Fatalf("killed at write %d, then: %v", n, err)
		}
		next, err := s.Append(t.Context(), settled, of("3"))
		if err != nil {
			t.Fatalf("killed at write %d, then: %v", n, err)
		}
		if got := s.numbers(t); len(got) != next.Number || next.Number != settled.Number+1 {
			t.Errorf("killed at write %d: releases %v after %d", n, got, settled.Number)
		}
		s.kv.head = nil
		if got := s.numbers(t); len(got) != next.Number {
			t.Errorf("killed at write %d: the registry alone has %v", n, got)
		}
	}
}
