package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// plain is git as a plain transport and store: no program that a configuration of the user's or a repository's names.
// Credentials stay those of the user.
var plain = []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
	"-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"}

// maxOutput bounds what git prints, other than files.
const maxOutput = 16 << 20

// waitDelay is for what git starts, as ssh, and what outlives it. It also counts from git's own end until all is read that it printed,
// so it is no matter of a moment: a machine that is busy may need seconds for that.
const waitDelay = 20 * time.Second

// Repository is a git repository of this machine. The zero value is none, for what needs none.
type Repository struct {
	Dir      string   // its own directory: of a checkout, the .git
	WorkTree string   // "" for a bare one
	Cwd      string   // what paths of the command line are relative to, without WorkTree
	Ask      bool     // a person is there, whom git may ask for a password
	Env      []string // further variables
}

// At returns the repository whose files are checked out in a directory.
func At(workTree string) Repository {
	return Repository{Dir: workTree + "/.git", WorkTree: workTree}
}

func (r Repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append(plain[:len(plain):len(plain)], args...)...)
	cmd.WaitDelay = waitDelay
	cmd.Env = append(Environ(), "LC_ALL=C", "GIT_NO_REPLACE_OBJECTS=1")
	if r.Dir != "" {
		cmd.Env = append(cmd.Env, "GIT_DIR="+r.Dir)
	}
	cmd.Dir = r.Cwd
	if r.WorkTree != "" {
		cmd.Dir = r.WorkTree
		cmd.Env = append(cmd.Env, "GIT_WORK_TREE="+r.WorkTree)
	}
	if r.Ask {
		cmd.Stdin = os.Stdin
	} else {
		cmd.Env = append(cmd.Env, "GIT_TERMINAL_PROMPT=0")
	}
	cmd.Env = append(cmd.Env, r.Env...)
	return cmd
}

// Environ is the environment without the variables that a git hook sets, which would point git at another repository. What says
// how remotes are reached stays.
func Environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "GIT_SSH") || strings.HasPrefix(name, "GIT_CONFIG_") || name == "GIT_ASKPASS" {
			kept = append(kept, v)
		}
	}
	return kept
}

// Error is a git command that failed.
type Error struct {
	what   string
	stderr string
	err    error
}

func (e *Error) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", e.what, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.what, strings.Join(strings.Fields(e.stderr), " "))
}

func (e *Error) Unwrap() error { return e.err }

// Reason is what git said last, in one line.
func (e *Error) Reason() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	for _, line := range lines {
		if text, fatal := strings.CutPrefix(line, "fatal: "); fatal {
			return text
		}
	}
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return e.err.Error()
}

// Run runs git and returns what it printed, without the last line's end.
func (r Repository) Run(ctx context.Context, args ...string) (string, error) {
	cmd := r.command(ctx, args...)
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
		return "", &Error{args[0], stderr.String(), err}
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// runWatched runs a `git fetch` that tells its progress, and ends it when nothing was heard of it for so long.
func (r Repository) runWatched(ctx context.Context, silence time.Duration, args ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(silence, func() { cancel(fmt.Errorf("the remote began to answer, and then sent nothing for %v", silence)) })
	defer stalled.Stop()
	heard := &heard{again: func() { stalled.Reset(silence) }}
	cmd := r.command(ctx, args...)
	cmd.Stderr = heard
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &Error{"fetch", "", context.Cause(ctx)}
	}
	return &Error{"fetch", heard.reasons(), err}
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

// RefusalError says that something was looked at and is not taken, and why.
type RefusalError struct{ reason string }

func (e *RefusalError) Error() string { return e.reason }

// Unverified tells that this is no failure to reach something.
func (e *RefusalError) Unverified() bool { return true }

// Refusef returns a RefusalError.
func Refusef(format string, args ...any) error {
	return &RefusalError{fmt.Sprintf(format, args...)}
}

// IsRefusal tells whether err says that something was looked at, and not that it could not be reached.
func IsRefusal(err error) bool {
	var refusal *RefusalError
	return errors.As(err, &refusal)
}
