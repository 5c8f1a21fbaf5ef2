// Command files does with files what it is told, and says what came of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"countersign.internal/sdk"
)

// Request is one operation.
type Request struct {
	Do   string `json:"do"`
	Path string `json:"path"`
	To   string `json:"to,omitempty"`
	Size int    `json:"size,omitempty"`
	Text string `json:"text,omitempty"`
}

// Result is what came of it.
type Result struct {
	Text  string `json:"text,omitempty"`
	N     int    `json:"n"`
	Error string `json:"error,omitempty"`
	Errno string `json:"errno"`
}

var files = sdk.Define[Request, Result]("files")

var kept []*os.File

func init() {
	sdk.Handle(files, func(_ context.Context, r Request) (result Result, _ error) {
		text, n, err := do(r)
		result.Text, result.N = text, n
		if err != nil {
			result.Error = err.Error()
			for name, errno := range map[string]error{"ENOSPC": syscall.ENOSPC, "EMFILE": syscall.EMFILE, "EROFS": syscall.EROFS} {
				if errors.Is(err, errno) {
					result.Errno = name
				}
			}
		}
		return result, nil
	})
}

func do(r Request) (string, int, error) {
	switch r.Do {
	case "read":
		b, err := os.ReadFile(r.Path)
		return string(b), len(b), err
	case "write":
		return write(r, os.O_CREATE|os.O_WRONLY|os.O_TRUNC)
	case "append":
		return write(r, os.O_CREATE|os.O_WRONLY|os.O_APPEND)
	case "exclusive":
		return write(r, os.O_CREATE|os.O_WRONLY|os.O_EXCL)
	case "overwrite":
		return write(r, os.O_RDWR)
	case "trunc-only":
		fd, err := syscall.Open(r.Path, syscall.O_RDONLY|syscall.O_TRUNC, 0)
		if err == nil {
			syscall.Close(fd)
		}
		return "", 0, err
	case "sparse":
		f, err := os.OpenFile(r.Path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return "", 0, err
		}
		defer f.Close()
		n, err := f.WriteAt([]byte(r.Text), int64(r.Size))
		return "", n, err
	case "truncate":
		return "", 0, os.Truncate(r.Path, int64(r.Size))
	case "remove":
		return "", 0, os.Remove(r.Path)
	case "mkdir":
		return "", 0, os.Mkdir(r.Path, 0o755)
	case "rename":
		return "", 0, os.Rename(r.Path, r.To)
	case "link":
		return "", 0, os.Link(r.Path, r.To)
	case "symlink":
		return "", 0, os.Symlink(r.Path, r.To)
	case "readlink":
		to, err := os.Readlink(r.Path)
		return to, 0, err
	case "chtimes":
		info, err := os.Stat(r.Path)
		if err != nil {
			return "", 0, err
		}
		return "", 0, os.Chtimes(r.Path, info.ModTime(), info.ModTime())
	case "stat":
		info, err := os.Stat(r.Path)
		if err != nil {
			return "", 0, err
		}
		return info.Mode().String(), int(info.Size()), nil
	case "list":
		entries, err := os.ReadDir(r.Path)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " "), len(names), err
	case "sync":
		f, err := os.Open(r.Path)
		if err != nil {
			return "", 0, err
		}
		defer f.Close()
		return "", 0, f.Sync()
	case "keep":
		for range max(r.Size, 1) {
			f, err := os.OpenFile(r.Path, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				return "", len(kept), err
			}
			kept = append(kept, f)
		}
		return "", len(kept), nil
	case "write-kept":
		n, err := kept[0].Write(make([]byte, r.Size))
		return "", n, err
	case "drop":
		for _, f := range kept {
			f.Close()
		}
		kept = nil
		return "", 0, nil
	case "many":
		for i := range r.Size {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", r.Path, i), nil, 0o600); err != nil {
				return "", i, err
			}
		}
		return "", r.Size, nil
	case "bench":
		return bench(r)
	case "descriptors":
		return descriptors()
	case "attack":
		return attack(r.Path, r.Size)
	case "race":
		race(r.Path, r.Size)
		return "", 0, nil
	case "exit":
		os.Exit(1)
	case "copy":
		from, err := os.Open(r.Path)
		if err != nil {
			return "", 0, err
		}
		defer from.Close()
		to, err := os.Create(r.To)
		if err != nil {
			return "", 0, err
		}
		n, err := io.Copy(to, from)
		return "", int(n), errors.Join(err, to.Close())
	case "remove all":
		return "", 0, os.RemoveAll(r.Path)
	case "deep":
		return "", 0, os.MkdirAll(r.Path, 0o700)
	}
	return "", 0, fs.ErrInvalid
}

// write writes a text, or as many zeros as are wanted.
func write(r Request, flags int) (string, int, error) {
	f, err := os.OpenFile(r.Path, flags, 0o600)
	if err != nil {
		return "", 0, err
	}
	content := []byte(r.Text)
	if r.Size > 0 {
		content = make([]byte, r.Size)
	}
	n, err := f.Write(content)
	return "", n, errors.Join(err, f.Close())
}

// bench writes 4 KiB as often as it is told, at the same place.
func bench(r Request) (string, int, error) {
	f, err := os.OpenFile(r.Path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	block := make([]byte, 4096)
	for range r.Size {
		if _, err := f.WriteAt(block, 0); err != nil {
			return "", 0, err
		}
	}
	return "", r.Size, nil
}

// descriptors tells how many files and directories are open, beside what Go's runtime and the SDK have.
func descriptors() (string, int, error) {
	found := 0
	for _, first := range []int{0, 1 << 20} {
		for fd := first; fd < first+4096; fd++ {
			var st syscall.Stat_t
			if err := syscall.Fstat(fd, &st); err == nil && isFile(&st) {
				found++
			}
		}
	}
	return "", found, nil
}

func main() { sdk.Main() }
