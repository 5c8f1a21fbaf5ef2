package testrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Command is a program to run in a process group of its own.
type Command struct {
	Args []string
	Dir  string   // "" is the working directory
	Env  []string // added to the environment
	// Idle leaves the processors to others: by a control group where one can be made, by niceness in any case.
	Idle bool
	// Nice is the niceness of an idle command, of which one with a lower one gets more than the others.
	Nice   int
	Output io.Writer
	// Grace is how long the program has for cleaning up when it is to end early; 0 is none.
	Grace time.Duration
}

// Run runs the command until it ends and returns its error. When ctx ends, the command's process group gets SIGINT, as
// from a terminal, and SIGKILL after c.Grace. Run returns when no process of the group is left.
func (c Command) Run(ctx context.Context) (err error) {
	args := c.Args
	if c.Idle {
		args = append([]string{"nice", "-n", strconv.Itoa(c.Nice)}, args...)
		if g, noGroup := joinIdle(); noGroup == nil {
			defer func() { err = errors.Join(err, leaveIdle()) }()
			args = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, g.procs()}, args...)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = c.Output, c.Output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // for what it started to let go of the output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", c.Args[0], err)
	}
	group := cmd.Process.Pid
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if errors.Is(err, exec.ErrWaitDelay) {
			err = nil // it ended well itself
		}
		ended <- err
	}()
	defer endGroup(group)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	signalGroup(group, syscall.SIGINT)
	timer := time.NewTimer(c.Grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		signalGroup(group, syscall.SIGKILL)
		<-ended
	}
	return context.Cause(ctx)
}

// signalGroup tells whether there was a process to signal.
func signalGroup(group int, s syscall.Signal) bool {
	return !errors.Is(syscall.Kill(-group, s), syscall.ESRCH)
}

// endGroup kills what the command left in its group, and waits until it is gone or is a zombie of another parent.
func endGroup(group int) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if !signalGroup(group, syscall.SIGKILL) {
			return
		}
	}
}
