package modproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"countersign/git"
)

// fileName is what the file with the pins is called.
const fileName = "repos.bzl"

// productFile is what the file beside it is called that pins the product, in a deployment's own repository.
const productFile = "countersign.bzl"

// maxPins bounds the file with the pins.
const maxPins = 4 << 20

// Source is where the pins are: a file, or the same file in the newest commit of a git repository.
type Source struct {
	file   string
	remote *git.Clone
}

// scpLike matches what git takes for a remote on a host: user@host:path.
var scpLike = regexp.MustCompile(`^[\w.-]+@[\w.-]+:`)

// NewSource returns the source that a person named: a file, a directory that holds repos.bzl, or what git fetches the
// deployment's repository from. cache is a directory for clones. tell is given what a person should know.
func NewSource(name, cache string, tell func(string)) (*Source, error) {
	if strings.Contains(name, "://") || scpLike.MatchString(name) {
		c, err := git.NewClone(cache, "", git.Source{Name: "deployment", Remote: name, Ref: git.HEAD}, tell)
		return &Source{remote: c}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("find the pins: %w", err)
	}
	if info.IsDir() {
		name = filepath.Join(name, fileName)
	}
	if name, err = filepath.Abs(name); err != nil {
		return nil, err
	}
	return &Source{file: name}, nil
}

// FindSource looks for repos.bzl in a directory and those above it.
func FindSource(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, fileName)); err == nil {
			return filepath.Join(at, fileName), nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no %s in %s or above", fileName, dir)
		}
	}
}

// base is what remotes are below that begin with //.
func (s *Source) base() string {
	if s.remote != nil {
		return ""
	}
	return filepath.Dir(s.file)
}

// refresh is how old what was read may be.
func (s *Source) refresh() time.Duration {
	if s.remote != nil {
		return time.Minute
	}
	return time.Second
}

// texts are the files that say what is pinned. product is nil if there is no such file.
type texts struct{ pins, product []byte }

func (t texts) equal(other texts) bool {
	return bytes.Equal(t.pins, other.pins) && bytes.Equal(t.product, other.product)
}

// read returns the texts as they are now.
func (s *Source) read(ctx context.Context) (t texts, err error) {
	if s.remote != nil {
		return s.fetch(ctx)
	}
	if t.pins, err = os.ReadFile(s.file); err == nil {
		t.product, err = os.ReadFile(filepath.Join(filepath.Dir(s.file), productFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return t, fmt.Errorf("read the pins: %w", err)
	}
	return t, nil
}

func (s *Source) fetch(ctx context.Context) (t texts, err error) {
	c := s.remote
	newest, err := c.Fetch(ctx)
	if err != nil {
		return t, fmt.Errorf("fetch the pins from %s: %w", c.Name(), err)
	}
	if t.pins, err = c.File(ctx, newest, fileName, maxPins); err == nil {
		t.product, err = c.File(ctx, newest, productFile, maxPins)
		if git.IsRefusal(err) {
			t.product, err = nil, nil
		}
	}
	if err != nil {
		return t, fmt.Errorf("read the pins of %s: %w", c.Name(), err)
	}
	return t, nil
}
