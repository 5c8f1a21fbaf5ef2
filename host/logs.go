package host

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"countersign/host/allocdir"
)

// logFile is where a function's standard output goes: a named pipe that Nomad's log collector reads. It opens the path
// again when the reader went away and came back, so a restarted collector gets the lines that follow.
type logFile struct {
	dir  allocdir.Dir
	path string // os.DevNull discards
	mu   sync.Mutex
	f    *os.File // nil after a failed write
}

// openLog opens the pipe at path, below the directory of the allocation. An empty path discards, and so does
// os.DevNull, which Nomad names where a job wants no logs.
func openLog(dir allocdir.Dir, path string) (*logFile, error) {
	if path == "" {
		path = os.DevNull
	}
	l := &logFile{dir: dir, path: path}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening the function's log: %w", err)
	}
	return l, nil
}

func (l *logFile) open() (err error) {
	if l.path == os.DevNull {
		l.f, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	} else {
		l.f, err = l.dir.OpenPipe(l.path)
	}
	return err
}

// Write implements io.Writer. It may block while the FIFO is full; the runtimes write from a goroutine of their own.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	f := l.f
	if f == nil {
		if err := l.open(); err != nil {
			l.mu.Unlock()
			return 0, fmt.Errorf("opening the function's log: %w", err)
		}
		f = l.f
	}
	l.mu.Unlock()
	n, err := f.Write(b)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		l.mu.Lock()
		l.f = nil
		l.mu.Unlock()
		f.Close()
	}
	return n, err
}

// Close ends a blocked Write, too.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
