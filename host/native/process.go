package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"countersign"
	"countersign/host/native/files"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
	"countersign/host/runtime/output"

	"golang.org/x/sys/unix"
)

// nobody is the user that functions run as when the host is root.
const nobody = 65534

// startTime is how long the sandbox may take to stand.
const startTime = 15 * time.Second

// process is the sandbox of a native function, for one life.
type process struct {
	*connection
	owner *Instance
	cmd   *exec.Cmd

	// Guarded by the owner's mu.
	buried bool          // taken out of service
	cpu    time.Duration // time on a processor

	mu       sync.Mutex
	lastWord string           // why the program said that it dies
	killedBy countersign.Code // why the host or the kernel killed it, or ""
	ooms     int64            // how often the kernel had ended earlier processes of the group for want of memory
	noThread bool             // it was refused a thread
	ended    bool             // it was waited for
	over     bool             // it has ended, and may not have been waited for
	files    *files.Server    // nil without storage
	died     chan struct{}    // closed when it has ended and everything is accounted for
}

// startProcess starts the function in its sandbox.
func startProcess(i *Instance) (*process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	status, statusChild, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	defer status.Close()
	defer statusChild.Close()
	gateChild, gate, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe: %w", err), ours.Close())
	}
	defer gate.Close()
	defer gateChild.Close()
	before, err := i.group.Usage()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	p := &process{owner: i, ooms: before.OOMs, died: make(chan struct{})}
	p.connection = newConnection(p, ours)
	if err := p.command(theirs, statusChild, gateChild); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, errors.Join(startError(err), ours.Close())
	}
	for _, f := range []*os.File{statusChild, gateChild, theirs} {
		f.Close()
	}
	if err := p.enter(status, gate); err != nil {
		p.kill(countersign.CodeInternal)
		<-p.died
		return nil, err
	}
	go p.receive()
	go p.transmit()
	return p, nil
}

// enter puts the shim into the cgroup, and then lets it become the function.
func (p *process) enter(status *net.UnixConn, gate *os.File) error {
	err := p.owner.group.Add(p.cmd.Process.Pid)
	if err == nil {
		_, err = gate.Write([]byte{1})
	}
	switch {
	case errors.Is(err, os.ErrProcessDone), errors.Is(err, unix.EPIPE):
		return p.confirm() // it has ended, which is what that will say
	case err != nil:
		return &UnsupportedError{"cgroups", err.Error()}
	}
	// A socket has a poller behind it, so the deadline can be set.
	_ = status.SetReadDeadline(time.Now().Add(startTime))
	listener, err := readStatus(status)
	if err == nil {
		err = p.confirm()
	}
	if err != nil {
		return errors.Join(err, closeAny(listener))
	}
	return p.serveFiles(listener)
}

// command prepares the shim.
func (p *process) command(socket, status, gate *os.File) error {
	options := p.owner.options
	config, err := json.Marshal(shimConfig{Function: options.Function, Memory: options.Memory, Files: len(options.Storage) > 0})
	if err != nil {
		return fmt.Errorf("encoding the shim's argument: %w", err)
	}
	user, group := os.Getuid(), os.Getgid()
	root := user == 0
	if root {
		user, group = nobody, nobody
	}
	p.cmd = &exec.Cmd{
		Path:       fmt.Sprintf("/proc/self/fd/%d", shimFD), // needs no right to search the directories of its path
		Args:       []string{ShimCommand, ShimCommand, string(config)},
		Env:        []string{},
		Dir:        "/",
		ExtraFiles: []*os.File{socket, p.owner.image, status, p.owner.shim, gate},
		Stdout:     &output.Lines{To: p.owner.stdout},
		Stderr:     &output.Lines{To: p.owner.stderr, See: p.listen},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
				unix.CLONE_NEWUTS | unix.CLONE_NEWNS,
			UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}},
			GidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: group, Size: 1}},
			GidMappingsEnableSetgroups: root,
			Credential:                 &syscall.Credential{NoSetGroups: !root},
			Pdeathsig:                  syscall.SIGKILL,
			Setsid:                     true,
		},
	}
	return nil
}

// run starts the command and waits for its end. It keeps its thread: the kernel kills the function when the thread that
// started it ends, which is to be when the host does.
func (p *process) run(started chan<- error) {
	goruntime.LockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.endFiles()
	// The way in which it ended is in ProcessState.
	_ = p.cmd.Wait()
	for _, w := range []any{p.cmd.Stdout, p.cmd.Stderr} {
		w.(*output.Lines).Flush()
	}
	p.account()
	p.owner.bury(p)
	p.connection.close()
	close(p.died)
}

// account notes how the process ended. With it, everything in its PID namespace has.
func (p *process) account() {
	usage, err := p.owner.group.Usage()
	p.mu.Lock()
	if err == nil && usage.OOMs > p.ooms && (p.killedBy == "" || p.killedBy == countersign.CodeBroken) {
		p.killedBy = countersign.CodeOutOfMemory
	}
	p.noThread, p.ended = err == nil && usage.Refused > 0, true
	p.mu.Unlock()
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	p.cpu = max(p.cpu, p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime())
}

// disconnected is told that the connection has ended, which is how the end of the process shows first.
func (p *process) disconnected(err error) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.died:
	case <-timer.C:
		if !p.gone() {
			p.breach("it closed its connection: %v", err)
		}
	}
}

// gone tells whether the process has ended, although that may not be accounted for yet.
func (p *process) gone() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return errors.Is(err, unix.ECHILD) || err == nil && info.Signo != 0
}

// confirm makes sure that the process runs the function: a shim that was killed can't say why.
func (p *process) confirm() error {
	want, err := p.owner.image.Stat()
	if err != nil {
		return fmt.Errorf("looking at the executable: %w", err)
	}
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.cmd.Process.Pid))
	if err == nil && !os.SameFile(want, running) {
		err = errors.New("the process runs something else")
	}
	if err == nil {
		return nil
	}
	p.kill(countersign.CodeInternal)
	<-p.died
	return fmt.Errorf("the process did not become the function, or ended at once (%v): %w", p.cmd.ProcessState, err)
}

// startError tells what the machine lacks from what went wrong.
func startError(err error) error {
	for _, missing := range []error{unix.EPERM, unix.ENOSPC, unix.EINVAL, unix.ENOSYS, unix.EUSERS} {
		if errors.Is(err, missing) {
			return &UnsupportedError{"namespaces", fmt.Sprintf("a process in new user, PID, network, IPC, UTS and mount "+
				"namespaces can't be started: %v", err)}
		}
	}
	return fmt.Errorf("starting the function's process: %w", err)
}

// kill ends the process, for the reason that calls under way are told.
func (p *process) kill(reason countersign.Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return // the cgroup is the next process's
	}
	if p.killedBy == "" {
		p.killedBy = reason
	}
	// The first takes with it all that is in the PID namespace, the second all that is in the cgroup. They fail when the
	// process has ended already, which is what is wanted.
	_ = p.cmd.Process.Kill()
	_ = p.owner.group.Kill()
}

// listen keeps what Go's runtime says when it ends a program.
func (p *process) listen(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastWord == "" {
		p.lastWord = runtime.LastWord(line)
	}
}

// deathError is the error of a call that was under way when the process ended.
func (p *process) deathError() *countersign.CallError {
	p.mu.Lock()
	defer p.mu.Unlock()
	options := &p.owner.options
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case p.killedBy == countersign.CodeOutOfMemory:
		return options.OutOfMemory()
	case p.killedBy == countersign.CodeDeadline:
		return options.Errorf(countersign.CodeUnavailable,
			"its process was stopped because another call did not end at its deadline")
	case p.killedBy == countersign.CodeBroken:
		return options.Errorf(countersign.CodeBroken, "it broke the calling convention: %s", p.lastWord)
	case p.killedBy != "":
		return options.Stopping()
	case strings.Contains(p.lastWord, "out of memory"), strings.Contains(p.lastWord, "cannot allocate memory"):
		return options.Errorf(countersign.CodeOutOfMemory, "%s", p.lastWord)
	case p.noThread && strings.Contains(p.lastWord, "newosproc"):
		return options.Errorf(countersign.CodePanicked, "it needs more than the %d threads that a native function may have",
			limits.Threads())
	case p.lastWord != "":
		return options.Errorf(countersign.CodePanicked, "%s", p.lastWord)
	case status.Signaled():
		return options.Errorf(countersign.CodeExited, "its process was ended by signal %v", status.Signal())
	}
	return options.Exited(status.ExitStatus())
}

// breach kills a process that broke the calling convention.
func (p *process) breach(format string, args ...any) {
	p.mu.Lock()
	if !p.ended {
		p.lastWord = fmt.Sprintf(format, args...)
	}
	p.mu.Unlock()
	p.kill(countersign.CodeBroken)
}

// socketPair returns the host's end, and the function's for the child to inherit.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "function"), os.NewFile(uintptr(fds[1]), "host")
	conn, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("using a socket pair: %w", err), theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}
