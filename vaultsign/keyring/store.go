package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"countersign/strictjson"
)

const (
	// fileFormat is the first thing that a reader checks.
	fileFormat = "countersign-keyring-v1"
	// maxFile bounds a ring's file, in bytes.
	maxFile = 2 << 20
)

// file is what is on disk. The digest finds damage, which could otherwise lower the floor by one flipped bit. It does
// not protect against who may write to the directory: that is the file system's business.
type file struct {
	Format string          `json:"format"`
	SHA256 string          `json:"sha256"` // hex, of Ring's bytes without insignificant white space
	Ring   json.RawMessage `json:"ring"`
}

// CorruptError says that a ring's file cannot be used.
type CorruptError struct {
	Path   string
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("key ring file %s is damaged (%s) and was not used: remove it, and it is fetched from Vault again",
		e.Path, e.Reason)
}

// Unverified marks the error as a verification failure.
func (e *CorruptError) Unverified() bool { return true }

// Store keeps rings in a directory, one file per function, for the times when Vault is away. Several processes may
// share a directory.
type Store struct {
	dir string
}

// NewStore returns the store in a directory, which is created with mode 0700 if it is missing.
func NewStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the directory of key rings: %w", err)
	}
	return &Store{dir: dir}, nil
}

// Load returns the ring of a function. Without one the error is fs.ErrNotExist; a file that cannot be trusted gives a
// *CorruptError, and never a ring.
func (s *Store) Load(function string) (KeyRing, error) {
	if err := CheckFunction(function); err != nil {
		return KeyRing{}, fmt.Errorf("loading a key ring: %w", err)
	}
	path := s.path(function)
	f, err := os.Open(path)
	if err != nil {
		return KeyRing{}, fmt.Errorf("loading the key ring of function %q: %w", function, err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return KeyRing{}, fmt.Errorf("loading the key ring of function %q: %w", function, err)
	}
	ring, err := decode(src)
	if err == nil && ring.Function != function {
		err = fmt.Errorf("it is the ring of function %.80q", ring.Function)
	}
	if err != nil {
		return KeyRing{}, &CorruptError{Path: path, Reason: err.Error()}
	}
	return ring, nil
}

// Update merges an answer of Vault's into the stored ring (see KeyRing.Merge), writes it with mode 0600 in one atomic
// step and returns it. A damaged file is not replaced: a lost floor is for an operator to judge.
func (s *Store) Update(fresh KeyRing) (KeyRing, Change, error) {
	if err := CheckFunction(fresh.Function); err != nil {
		return KeyRing{}, Change{}, fmt.Errorf("storing a key ring: %w", err)
	}
	unlock, err := s.lock()
	if err != nil {
		return KeyRing{}, Change{}, err
	}
	defer unlock()
	old, err := s.Load(fresh.Function)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return KeyRing{}, Change{}, err
	}
	merged, change, err := old.Merge(fresh)
	if err != nil {
		return KeyRing{}, Change{}, err
	}
	if err := s.write(merged); err != nil {
		return KeyRing{}, Change{}, fmt.Errorf("storing the key ring of function %q: %w", fresh.Function, err)
	}
	return merged, change, nil
}

func (s *Store) path(function string) string { return filepath.Join(s.dir, function+".json") }

// lock lets one process at a time read, merge and write. It ends with the process, however that ends.
func (s *Store) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory of key rings: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the directory of key rings: %w", err)
	}
	return func() { f.Close() }, nil
}

func (s *Store) write(ring KeyRing) error {
	src, err := encode(ring)
	if err != nil {
		return err
	}
	path := s.path(ring.Function)
	temp, err := renameio.NewPendingFile(path, renameio.WithTempDir(s.dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer temp.Cleanup() // does nothing after the rename
	if _, err := temp.Write(src); err != nil {
		return err
	}
	return temp.CloseAtomicallyReplace()
}

func encode(ring KeyRing) ([]byte, error) {
	inner, err := json.Marshal(ring)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(inner)
	src, err := json.MarshalIndent(file{Format: fileFormat, SHA256: hex.EncodeToString(sum[:]), Ring: inner}, "", "  ")
	return append(src, '\n'), err
}

func decode(src []byte) (KeyRing, error) {
	if len(src) > maxFile {
		return KeyRing{}, fmt.Errorf("larger than %d bytes", maxFile)
	}
	var f file
	if err := strictjson.Decode(src, &f); err != nil {
		return KeyRing{}, err
	}
	if f.Format != fileFormat {
		return KeyRing{}, fmt.Errorf("its format is %.40q, not %q", f.Format, fileFormat)
	}
	var inner bytes.Buffer
	if err := json.Compact(&inner, f.Ring); err != nil {
		return KeyRing{}, err
	}
	if sum := sha256.Sum256(inner.Bytes()); hex.EncodeToString(sum[:]) != f.SHA256 {
		return KeyRing{}, errors.New("its content does not have the digest that it states")
	}
	var ring KeyRing
	if err := strictjson.Decode(inner.Bytes(), &ring); err != nil {
		return KeyRing{}, err
	}
	return ring, ring.Check()
}

func sortedVersions(versions map[int]string) []int { return slices.Sorted(maps.Keys(versions)) }
