package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// The size of a terminal that does not tell.
const (
	defaultColumns = 80
	defaultLines   = 24
)

// Is tells whether w is a terminal that can move its cursor. A pipe and a file are none, nor is one with TERM=dumb.
func Is(w any) bool {
	_, ok := descriptor(w)
	return ok && os.Getenv("TERM") != "dumb"
}

// Colored tells whether to write colors to w: only a terminal gets them, and none if NO_COLOR is set.
func Colored(w io.Writer) bool { return Is(w) && os.Getenv("NO_COLOR") == "" }

// Size returns how many columns and lines w has now: 0 and 0 if it is no terminal, 80 and 24 if it does not tell.
func Size(w io.Writer) (columns, lines int) {
	fd, ok := descriptor(w)
	if !ok {
		return 0, 0
	}
	columns, lines, err := term.GetSize(fd)
	if err != nil || columns <= 0 || lines <= 0 {
		return defaultColumns, defaultLines
	}
	return columns, lines
}

// descriptor returns the file descriptor of a terminal.
func descriptor(stream any) (fd int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}
