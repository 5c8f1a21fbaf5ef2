package host

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// logFile is where a function's standard output goes: a FIFO that Nomad's log collector reads, or a file. It opens
// the path again when the reader went away and came back, so a restarted collector gets the lines that follow.
type logFile struct {
	path string
	mu   sync.Mutex
	f    *os.File // nil after a failed write
}

// openLog opens path for writing. An empty path discards.
func openLog(path string) (*logFile, error) {
	if path == "" {
		path = os.DevNull
	}
	l := &logFile{path: path}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening the function's log %s: %w", path, err)
	}
	return l, nil
}

// open does not wait for a reader: O_RDWR keeps a FIFO open while its reader restarts.
func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|syscall.O_NONBLOCK|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	l.f = f
	return nil
}

// Write implements io.Writer. It may block while the FIFO is full; the runtimes write from a goroutine of their own.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	f := l.f
	if f == nil {
		if err := l.open(); err != nil {
			l.mu.Unlock()
			return 0, fmt.Errorf("opening the function's log %s: %w", l.path, err)
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
