package modproxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// plain is git as a plain transport and store: no program that a configuration of the user's or a repository's names.
// Credentials stay those of the user. There are no questions, since nobody may be there to answer.
var plain = []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
	"-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"}

// maxOutput bounds what git prints, other than files.
const maxOutput = 16 << 20

// git is a bare repository.
type git struct{ dir string }

func (g git) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append(plain[:len(plain):len(plain)], args...)...)
	cmd.WaitDelay = 2 * time.Second // for what git starts, as ssh
	cmd.Env = append(withoutGit(os.Environ()), "GIT_DIR="+g.dir, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_NO_REPLACE_OBJECTS=1")
	return cmd
}

// withoutGit drops the variables that a git hook sets, which would point git at another repository. What says how remotes
// are reached stays.
func withoutGit(environ []string) []string {
	var kept []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "GIT_SSH") || strings.HasPrefix(name, "GIT_CONFIG_") || name == "GIT_ASKPASS" {
			kept = append(kept, v)
		}
	}
	return kept
}

// gitError is a git command that failed.
type gitError struct {
	what   string
	stderr string
	err    error
}

func (e *gitError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", e.what, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.what, strings.Join(strings.Fields(e.stderr), " "))
}

func (e *gitError) Unwrap() error { return e.err }

// run runs git and returns what it printed, without the last line's end.
func (g git) run(ctx context.Context, args ...string) (string, error) {
	cmd := g.command(ctx, args...)
	stdout, stderr := &limited{left: maxOutput}, &limited{left: 4 << 10, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if stdout.over {
		err = errTooMuch // git itself ended for want of a reader
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", &gitError{args[0], stderr.String(), err}
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// runWatched runs a `git fetch` that tells its progress, and ends it when nothing was heard of it for so long.
func (g git) runWatched(ctx context.Context, silence time.Duration, args ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(silence, func() { cancel(fmt.Errorf("the remote began to answer, and then sent nothing for %v", silence)) })
	defer stalled.Stop()
	heard := &heard{again: func() { stalled.Reset(silence) }}
	cmd := g.command(ctx, args...)
	cmd.Stderr = heard
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &gitError{"fetch", "", context.Cause(ctx)}
	}
	return &gitError{"fetch", heard.reasons(), err}
}

// heard takes what git says of its progress, and keeps the end of it.
type heard struct {
	again func()
	last  []byte
}

func (h *heard) Write(p []byte) (int, error) {
	h.again()
	h.last = append(h.last, p...)
	h.last = h.last[max(0, len(h.last)-4<<10):]
	return len(p), nil
}

// reasons is what was said, without the progress.
func (h *heard) reasons() string {
	var lines []string
	for line := range strings.FieldsFuncSeq(string(h.last), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if _, progress, found := strings.Cut(line, ":"); !found || !strings.Contains(progress, "%") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// limited is a buffer that takes so much and no more.
type limited struct {
	buffer bytes.Buffer // not embedded: io.Copy would take its ReadFrom, which has no limit
	left   int
	drop   bool // what is too much is dropped, instead of an error
	over   bool // there was too much
}

func (l *limited) String() string { return l.buffer.String() }

var errTooMuch = errors.New("git printed too much")

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.buffer.Write(p[:n])
	if n < len(p) && !l.drop {
		l.over = true
		return n, errTooMuch
	}
	return len(p), nil
}

// entry is a file, or whatever else, in the tree of a commit.
type entry struct {
	mode, object, path string
	size               int64
}

// tree lists what is below a directory of a commit, paths relative to it; "" is the root.
func (g git) tree(ctx context.Context, commit, dir string) ([]entry, error) {
	of := commit
	if dir != "" {
		of += ":" + dir
	}
	return g.list(ctx, "ls-tree", "-r", "-z", "-l", "--full-tree", of)
}

// list runs git ls-tree -z -l.
func (g git) list(ctx context.Context, args ...string) ([]entry, error) {
	out, err := g.run(ctx, args...)
	if errors.Is(err, errTooMuch) {
		return nil, refusef("it has too many files")
	}
	if err != nil {
		return nil, err
	}
	var entries []entry
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		head, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head) // mode, type, object, size
		if len(fields) != 4 {
			continue // there are none
		}
		e := entry{mode: fields[0], object: fields[2], path: path}
		if fields[3] != "-" { // as with submodules
			if e.size, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
				return nil, fmt.Errorf("git ls-tree: size of %q: %w", path, err)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// blobs reads files one after the other from one process of git.
type blobs struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (g git) blobs(ctx context.Context) (*blobs, error) {
	cmd := g.command(ctx, "cat-file", "--batch")
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
	return &blobs{cmd, in, bufio.NewReaderSize(out, 64<<10)}, nil
}

// open returns a file's content, which has to be closed before the next one is opened.
func (b *blobs) open(object string) (io.ReadCloser, error) {
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

func (b *blobs) close() error {
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

// file returns a file of a commit, if it is one and not too large.
func (g git) file(ctx context.Context, commit, path string, max int64) ([]byte, error) {
	entries, err := g.list(ctx, "ls-tree", "-z", "-l", "--full-tree", commit, "--", path)
	switch {
	case err != nil:
		return nil, err
	case len(entries) != 1:
		return nil, refusef("it has no %s", path)
	case entries[0].mode != "100644" && entries[0].mode != "100755":
		return nil, refusef("%s is not a file", path)
	case entries[0].size > max:
		return nil, refusef("%s is too large: %d bytes, and at most %d", path, entries[0].size, max)
	}
	cmd := g.command(ctx, "cat-file", "blob", entries[0].object)
	text, err := cmd.Output()
	if err != nil {
		return nil, &gitError{"cat-file", "", err}
	}
	return text, nil
}
