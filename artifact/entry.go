package artifact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	manifestFile = "manifest"
	bundlesDir   = "bundles"
	// workPrefix marks directories that are being made or removed.
	workPrefix = "work-"
)

var hexName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// nothing is a store that has nothing and says so.
type nothing struct{ Store }

func (nothing) Resolve(context.Context, string) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, fmt.Errorf("it is not in the node's cache: %w", ErrNotFound)
}

// entry returns the directory of a pinned reference. The digest was checked: its hex part is safe as a name.
func (c *Cache) entry(ref Reference) string {
	return filepath.Join(c.dir, strings.TrimPrefix(ref.Digest, "sha256:"))
}

// read returns a cached artifact after hashing all of it. The error is fs.ErrNotExist if there is none, and a
// *DigestError or *LayoutError if it is damaged.
func (c *Cache) read(ref Reference) (*Loaded, error) {
	dir := c.entry(ref)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("reading %s from the cache: %w", ref, err)
	}
	manifest, err := readFile(filepath.Join(dir, manifestFile), maxManifest, ref.Digest)
	if err != nil {
		return nil, &DigestError{What: "the cached manifest of " + ref.String(), Want: ref.Digest, Err: err}
	}
	descriptors, err := parseOwn(ref, manifest)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Reference: ref, ManifestDigest: ref.Digest, Cached: true}
	l.Function = ref.Function()
	var layers []blob
	for _, d := range descriptors {
		content, err := readFile(filepath.Join(dir, d.Digest.Encoded()), d.Size, d.Digest.String())
		if err != nil {
			what := "the cached " + d.MediaType + " of " + ref.String()
			return nil, &DigestError{What: what, Want: d.Digest.String(), Err: err}
		}
		layers = append(layers, blob{d, content})
	}
	if err := l.assemble(layers); err != nil {
		return nil, err
	}
	l.Bundles = readBundles(filepath.Join(dir, bundlesDir))
	touch(dir)
	return l, nil
}

// readBundles returns the bundles that still have the digest they are named by.
func readBundles(dir string) [][]byte {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil // without any, the registry is asked
	}
	var bundles [][]byte
	for _, name := range names {
		if !hexName.MatchString(name.Name()) || len(bundles) == maxBundles {
			continue
		}
		if b, err := readFile(filepath.Join(dir, name.Name()), MaxDocument, "sha256:"+name.Name()); err == nil {
			bundles = append(bundles, b)
		}
	}
	return bundles
}

// readFile reads a regular file of at most limit bytes that has the wanted digest.
func readFile(path string, limit int64, want string) ([]byte, error) {
	info, err := os.Lstat(path) // a link or a pipe is not what we wrote
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("it is not a regular file of at most %d bytes", limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readVerified(io.LimitReader(f, limit+1), ocispec.Descriptor{Digest: digest.Digest(want), Size: info.Size()})
}

// insert makes an entry. If another process made it in the meantime, that one stays unless it is damaged.
func (c *Cache) insert(ref Reference, manifest []byte, layers []blob, bundles [][]byte) error {
	work, err := os.MkdirTemp(c.dir, workPrefix) // mode 0700
	if err != nil {
		return fmt.Errorf("caching %s: %w", ref, err)
	}
	defer os.RemoveAll(work) // nothing is there after the rename
	err = writeFile(filepath.Join(work, manifestFile), manifest)
	for _, layer := range layers {
		err = errors.Join(err, writeFile(filepath.Join(work, layer.descriptor.Digest.Encoded()), layer.content))
	}
	err = errors.Join(err, c.writeBundles(work, bundles))
	if err != nil {
		return fmt.Errorf("caching %s: %w", ref, err)
	}
	if _, damage := c.read(ref); damage == nil {
		return c.writeBundles(c.entry(ref), bundles)
	}
	if err := errors.Join(c.discard(c.entry(ref)), os.Rename(work, c.entry(ref))); err != nil {
		return fmt.Errorf("caching %s: %w", ref, err)
	}
	return nil
}

// writeBundles makes the bundles of an entry be these.
func (c *Cache) writeBundles(entry string, bundles [][]byte) error {
	dir := filepath.Join(entry, bundlesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("caching bundles: %w", err)
	}
	work, err := os.MkdirTemp(c.dir, workPrefix)
	if err != nil {
		return fmt.Errorf("caching bundles: %w", err)
	}
	defer os.RemoveAll(work)
	current := map[string]bool{}
	for _, bundle := range bundles {
		name := digest.FromBytes(bundle).Encoded()
		current[name] = true
		if err := replaceFile(work, filepath.Join(dir, name), bundle); err != nil {
			return fmt.Errorf("caching bundles: %w", err)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("caching bundles: %w", err)
	}
	for _, name := range names {
		if !current[name.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name.Name())))
		}
	}
	return err
}

// writeFile writes a file that survives a loss of power once the function has returned.
func writeFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceFile is writeFile for a file that others may read meanwhile. They find the old content or the new one. The
// unfinished file is in work, where Trim finds it if this process dies.
func replaceFile(work, path string, content []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(work), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing after the rename
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// discard removes an entry in one step for those who look, then for the disk.
func (c *Cache) discard(entry string) error {
	work, err := os.MkdirTemp(c.dir, workPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Rename(entry, filepath.Join(work, "entry")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// trim removes the entries that were used longest ago until the rest fits. The caller holds the exclusive lock.
func (c *Cache) trim(keep Reference) error {
	type entry struct {
		path string
		size int64
		used time.Time
	}
	names, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("trimming the artifact cache: %w", err)
	}
	var entries []entry
	var total int64
	for _, name := range names {
		path := filepath.Join(c.dir, name.Name())
		if strings.HasPrefix(name.Name(), workPrefix) { // nobody else is at work: an interrupted process left it
			err = errors.Join(err, os.RemoveAll(path))
		}
		info, statErr := name.Info()
		if statErr != nil || !hexName.MatchString(name.Name()) {
			continue
		}
		e := entry{path, sizeOf(path), info.ModTime()}
		total += e.size
		if path != c.entry(keep) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	for _, e := range entries {
		if total <= c.MaxBytes {
			break
		}
		err = errors.Join(err, c.discard(e.path))
		total -= e.size
	}
	return err
}

// sizeOf adds up the files of an entry.
func sizeOf(dir string) (total int64) {
	// What cannot be read is not counted; it does not make the cache larger than the disk says.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
