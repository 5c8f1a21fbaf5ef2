package native

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"countersign/host/native/files"
)

// serveFiles begins to execute the function's system calls on files. Those that it made already wait.
func (p *process) serveFiles(listener *os.File) error {
	tags := p.owner.options.Storage
	switch {
	case len(tags) == 0:
		return closeAny(listener)
	case listener == nil:
		return errors.New("the sandbox stands, and the host was not given the function's system calls on files")
	}
	server, err := files.Serve(listener, p.cmd.Process.Pid, tags)
	if err != nil {
		return errors.Join(&UnsupportedError{"storage", err.Error()}, listener.Close())
	}
	p.mu.Lock()
	p.files = server
	over := p.over
	p.mu.Unlock()
	if over {
		server.Ended()
	}
	return nil
}

func closeAny(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// endFiles waits until the process has ended, and then ends its use of files while its ID can't be another's yet.
func (p *process) endFiles() {
	if len(p.owner.options.Storage) == 0 {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	server := p.files
	p.over = true
	p.mu.Unlock()
	if server != nil {
		server.Ended()
	}
}
