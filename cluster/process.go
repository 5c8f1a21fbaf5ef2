package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"countersign/strictjson"
)

// errSearch is what reading /proc of a process that has just ended gives.
const errSearch = syscall.ESRCH

// stopGrace is how long a server may take to end by itself.
const stopGrace = 5 * time.Second

// record says which process is a server. It is written before anything else happens with the process.
type record struct {
	Name      string    `json:"name"`
	PID       int       `json:"pid"`
	StartTick uint64    `json:"start_tick"`
	BootID    string    `json:"boot_id"`
	Started   time.Time `json:"started"`
	Version   string    `json:"version"`
	Config    string    `json:"config"` // digest of what it was started with
}

// record reads what is known about a server; os.ErrNotExist if it was never started.
func (d dir) record(name string) (record, error) {
	var rec record
	data, err := os.ReadFile(d.path("run", name+".json"))
	if err == nil {
		err = strictjson.DecodeOpen(data, &rec)
	}
	if err != nil {
		return record{}, fmt.Errorf("record of %s: %w", name, err)
	}
	return rec, nil
}

// alive tells whether the process is still the one that was recorded.
func (r record) alive() bool {
	if r.PID <= 0 || r.BootID != bootID() {
		return false
	}
	p, err := readProc(r.PID)
	return err == nil && p.startTick == r.StartTick && !p.dead()
}

// child is a server that this process started.
type child struct {
	record
	exited <-chan struct{}
}

// spawn starts a server in a session of its own, so that a Ctrl-C on the terminal does not reach it, with standard
// output and error in its log file and nothing of the caller's environment that could change what it does.
func (d dir) spawn(rec record, s *state, path string, args, env []string) (*child, error) {
	log, err := os.OpenFile(d.logFile(rec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", rec.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.root, log, log
	cmd.Env = append(d.environ(s), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if gid, ok := s.group(agentNode(rec.Name)); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: gid}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", rec.Name, err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // its state does not matter: servers never end by themselves
		close(exited)
	}()
	rec.PID, rec.BootID, rec.Started = cmd.Process.Pid, bootID(), time.Now().UTC()
	p, err := readProc(rec.PID)
	if err == nil {
		rec.StartTick = p.startTick
		err = d.writeRecord(rec)
	}
	if err != nil {
		cmd.Process.Kill()
		<-exited
		return nil, fmt.Errorf("record the process of %s: %w", rec.Name, err)
	}
	return &child{rec, exited}, nil
}

func (d dir) writeRecord(rec record) error {
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(d.path("run", rec.Name+".json"), append(data, '\n'), 0o644)
}

// maxTempDir is the longest directory in which plugins of Nomad can still make their sockets, whose paths end at 107
// bytes.
const maxTempDir = 75

// marker is what every process of the cluster has in its environment.
func (s *state) marker() string { return "COUNTERSIGN_CLUSTER=" + s.ID }

// environ is the whole environment of a server. A variable such as VAULT_ADDR or CONSUL_HTTP_TOKEN of the caller would
// change it, and its tasks would see the rest.
func (d dir) environ(s *state) []string {
	env := []string{s.marker(), "CHECKPOINT_DISABLE=1", "OTEL_TRACES_EXPORTER=none"}
	for _, name := range []string{"PATH", "HOME", "USER", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	if tmp := d.path("tmp"); len(tmp) <= maxTempDir {
		return append(env, "TMPDIR="+tmp)
	}
	return append(env, "TMPDIR="+os.TempDir())
}

// stop ends a process: SIGTERM, and SIGKILL if that does not end it within grace. It is no error if it is gone.
func (r record) stop(ctx context.Context, grace time.Duration) error {
	if !r.signal(syscall.SIGTERM) {
		return nil
	}
	if r.waitGone(ctx, grace) {
		return nil
	}
	r.signal(syscall.SIGKILL)
	if r.waitGone(context.WithoutCancel(ctx), grace) {
		return nil
	}
	return fmt.Errorf("process %d (%s) does not end, not even by SIGKILL", r.PID, r.Name)
}

// signal sends a signal unless the process is gone, which it reports as false. os.FindProcess holds the process, not
// its number, so it is checked after it is held.
func (r record) signal(sig syscall.Signal) bool {
	p, err := os.FindProcess(r.PID)
	if err != nil {
		return false
	}
	defer p.Release()
	return r.alive() && p.Signal(sig) == nil
}

func (r record) waitGone(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for r.alive() {
		if sleep(ctx, 20*time.Millisecond) != nil {
			return !r.alive()
		}
	}
	return true
}

// lastLines returns the end of a server's log, for an error.
func (d dir) lastLines(name string, n int) string {
	data, err := os.ReadFile(d.logFile(name))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data[max(0, len(data)-16<<10):])), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n    ")
}

// exitedError says that a server ended while it was being started.
type exitedError struct {
	Server string
	Log    string // path
	Last   string // the end of the log
}

func (e *exitedError) Error() string {
	return fmt.Sprintf("%s ended while it started; the end of %s:\n    %s", e.Server, e.Log, e.Last)
}

// portTaken tells whether it ended because another program took one of its ports.
func (e *exitedError) portTaken() bool { return strings.Contains(e.Last, "address already in use") }

// isPortClash tells whether err is such an end.
func isPortClash(err error) bool {
	var e *exitedError
	return errors.As(err, &e) && e.portTaken()
}
