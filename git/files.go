package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// Entry is a file, or whatever else, in the tree of a commit.
type Entry struct {
	Mode, Object, Path string
	Size               int64
}

// IsFile tells whether it is a file: no link, and no submodule.
func (e Entry) IsFile() bool { return e.Mode == "100644" || e.Mode == "100755" }

// Tree lists what is below a directory of a commit, paths relative to it; "" is the root.
func (r Repository) Tree(ctx context.Context, commit, dir string) ([]Entry, error) {
	of := commit
	if dir != "" {
		of += ":" + dir
	}
	return r.list(ctx, "-r", of)
}

// Lookup lists what a path of a commit is: one entry, or none.
func (r Repository) Lookup(ctx context.Context, commit, path string) ([]Entry, error) {
	return r.list(ctx, commit, "--", path)
}

func (r Repository) list(ctx context.Context, args ...string) ([]Entry, error) {
	out, err := r.Run(ctx, append([]string{"ls-tree", "-z", "-l", "--full-tree"}, args...)...)
	if errors.Is(err, errTooMuch) {
		return nil, Refusef("it has too many files")
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		head, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head) // mode, type, object, size
		if len(fields) != 4 {
			continue // there are none
		}
		e := Entry{Mode: fields[0], Object: fields[2], Path: path}
		if fields[3] != "-" { // as with submodules
			if e.Size, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
				return nil, fmt.Errorf("git ls-tree: size of %q: %w", path, err)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// File returns a file of a commit, if it is one and not too large.
func (r Repository) File(ctx context.Context, commit, path string, max int64) ([]byte, error) {
	entries, err := r.Lookup(ctx, commit, path)
	switch {
	case err != nil:
		return nil, err
	case len(entries) != 1:
		return nil, Refusef("it has no %s", path)
	case !entries[0].IsFile():
		return nil, Refusef("%s is not a file", path)
	}
	return r.Content(ctx, entries[0], max)
}

// Content returns what is in a file, if it is not too large.
func (r Repository) Content(ctx context.Context, e Entry, max int64) ([]byte, error) {
	if e.Size > max {
		return nil, Refusef("%s is too large: %d bytes, and at most %d", e.Path, e.Size, max)
	}
	text, err := r.command(ctx, "cat-file", "blob", e.Object).Output()
	if err != nil {
		return nil, &Error{"cat-file", "", err}
	}
	return text, nil
}

// Blobs reads files one after the other from one process of git.
type Blobs struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Blobs starts reading files.
func (r Repository) Blobs(ctx context.Context) (*Blobs, error) {
	cmd := r.command(ctx, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Blobs{cmd, in, bufio.NewReaderSize(out, 64<<10)}, nil
}

// Open returns a file's content, which has to be closed before the next one is opened.
func (b *Blobs) Open(object string) (io.ReadCloser, error) {
	if _, err := io.WriteString(b.in, object+"\n"); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	line, err := b.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[1] != "blob" {
		return nil, fmt.Errorf("git cat-file: %s", strings.TrimSpace(line))
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return &blob{io.LimitedReader{R: b.out, N: size}, b.out}, nil
}

// Close ends the process.
func (b *Blobs) Close() error {
	b.in.Close()
	return b.cmd.Wait()
}

// blob is the content of a file. Closing it reads the rest, and the end of line that git adds.
type blob struct {
	io.LimitedReader
	out *bufio.Reader
}

func (b *blob) Close() error {
	if _, err := io.Copy(io.Discard, &b.LimitedReader); err != nil {
		return err
	}
	_, err := b.out.Discard(1)
	return err
}
