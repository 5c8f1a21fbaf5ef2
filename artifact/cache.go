package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultCacheBytes is the size of a node's cache if nothing else is said.
const DefaultCacheBytes = 8 << 30

// Cache keeps artifacts and their bundles in a directory of a node, so that a start needs no registry. Entries are
// found by manifest digest and hashed again whenever they are read: a disk can rot, and a file can be written to.
// Several processes may share a directory.
//
// An entry is one directory, <hex of the manifest's SHA-256>/, with the file manifest, one file per layer and bundle
// named by the hex of its SHA-256 (bundles below bundles/). It appears and disappears as a whole, by rename.
type Cache struct {
	// MaxBytes bounds the cache: the entries that were not loaded for the longest time go first. The one that was just
	// loaded stays, however large. Set it before the first use.
	MaxBytes int64

	dir string
}

// NewCache returns the cache in a directory, which is created with mode 0700 if it is missing. It holds
// DefaultCacheBytes unless MaxBytes is changed.
func NewCache(dir string) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the artifact cache: %w", err)
	}
	return &Cache{MaxBytes: DefaultCacheBytes, dir: dir}, nil
}

// Load returns an artifact from the cache, or from the store if the cache lacks it or holds it damaged, and keeps it.
// The reference must have a digest. store may be nil to use the cache alone.
//
// Bundles that are cached are not asked for again (Loaded.Cached tells): if none of them verifies, call RefreshBundles
// before refusing the artifact, because it may have been signed again. A nil error means that all bytes are verified;
// Loaded.NotKept tells why an artifact could not be cached.
func (c *Cache) Load(ctx context.Context, store Store, ref Reference) (*Loaded, error) {
	if err := checkDigest(ref.Digest); err != nil {
		return nil, fmt.Errorf("loading %s: only a digest names one artifact for ever: %w", ref, err)
	}
	l, err := c.load(ctx, store, ref)
	if err == nil && !l.Cached && l.NotKept == nil {
		l.NotKept = c.Trim(ref) // something was added
	}
	return l, err
}

func (c *Cache) load(ctx context.Context, store Store, ref Reference) (*Loaded, error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	release, err := c.lock(unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	l, damage := c.read(ref)
	if damage == nil && len(l.Bundles) > 0 {
		return l, nil
	}
	if store == nil {
		store = nothing{}
	}
	if damage != nil {
		return c.fetch(ctx, store, ref, damage)
	}
	if l.Bundles, err = Bundles(ctx, store, ref); err != nil {
		return nil, err
	}
	l.Cached, l.NotKept = false, c.writeBundles(c.entry(ref), l.Bundles)
	return l, nil
}

// fetch reads an artifact from the store and keeps it. damage says why the cache did not have it.
func (c *Cache) fetch(ctx context.Context, store Store, ref Reference, damage error) (*Loaded, error) {
	l := &Loaded{Reference: ref, ManifestDigest: ref.Digest}
	l.Function = ref.Function()
	near := &nearby{cache: c, store: store, ref: ref}
	manifest, layers, err := fetchLayers(ctx, store, ref, near, all)
	if err == nil {
		err = l.assemble(layers)
	}
	if err == nil {
		l.Bundles, err = Bundles(ctx, store, ref)
	}
	if err != nil {
		if errors.Is(damage, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fmt.Errorf("%w; fetching it again: %w", damage, err)
	}
	l.Transfer, l.NotKept = near.transfer, c.insert(ref, manifest, layers, l.Bundles)
	return l, nil
}

// RefreshBundles asks the store for the bundles of an artifact and replaces the cached ones. If the store cannot be
// reached, the cached ones stay.
func (c *Cache) RefreshBundles(ctx context.Context, store Store, ref Reference) ([][]byte, error) {
	if err := checkDigest(ref.Digest); err != nil {
		return nil, fmt.Errorf("refreshing the bundles of %s: %w", ref, err)
	}
	bundles, err := Bundles(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	return bundles, c.ReplaceBundles(ref, bundles)
}

// ReplaceBundles has the cached artifact of a pinned reference carry other bundles. If it is not cached, nothing happens.
func (c *Cache) ReplaceBundles(ref Reference, bundles [][]byte) error {
	if err := checkDigest(ref.Digest); err != nil {
		return fmt.Errorf("replacing the bundles of %s: %w", ref, err)
	}
	release, err := c.lock(unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(c.entry(ref)); err != nil {
		return nil // evicted: the next load brings everything
	}
	return c.writeBundles(c.entry(ref), bundles)
}

// Trim removes what is beyond MaxBytes and what interrupted processes left. It does nothing while a load is under way
// in any process: the next load trims. keep is an entry that stays, or a zero reference.
func (c *Cache) Trim(keep Reference) error {
	release, err := c.lock(unix.LOCK_EX | unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	return c.trim(keep)
}

// lock takes the directory's lock: shared to load, exclusive to remove. It ends with the process, however that ends.
func (c *Cache) lock(how int) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the artifact cache: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the artifact cache: %w", err)
	}
	return func() { f.Close() }, nil
}

// touch notes that an entry was used. An entry that cannot be touched is removed sooner than it should be.
func touch(entry string) {
	now := time.Now()
	_ = os.Chtimes(entry, now, now)
}
