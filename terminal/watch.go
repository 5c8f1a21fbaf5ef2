package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// What terminals take for: use the other screen and hide the cursor; undo that; go to the first line; clear to the end
// of the line, and of the screen.
const (
	enter     = "\x1b[?1049h\x1b[?25l"
	leave     = "\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// Watch takes the whole of the terminal out and draws first on it, then each of updates, anew when its size changes,
// until ctx ends or the user types q, Ctrl-C or Ctrl-D in in. It leaves the terminal as it was. draw returns lines that
// are not longer than width, at most height.
func Watch[T any](
	ctx context.Context, in io.Reader, out io.Writer, first T, updates <-chan T, draw func(now T, width, height int) []string,
) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if fd, ok := descriptor(in); ok {
		state, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("take keys from the terminal one by one: %w", err)
		}
		defer term.Restore(fd, state)
		go func() {
			waitForEnd(in)
			stop()
		}()
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	fmt.Fprint(out, enter)
	defer fmt.Fprint(out, leave)

	for now := first; ; {
		width, height := Size(out)
		// In raw mode a line feed does not return to the first column.
		fmt.Fprint(out, home+strings.Join(draw(now, width, height), clearLine+"\r\n")+clearLine+clearRest)
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case now = <-updates:
		}
	}
}

// waitForEnd returns when the user types what ends it, or can no longer type.
func waitForEnd(keys io.Reader) {
	var key [1]byte
	for {
		if _, err := keys.Read(key[:]); err != nil || strings.IndexByte("qQ\x03\x04", key[0]) >= 0 {
			return
		}
	}
}
