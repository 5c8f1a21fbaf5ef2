package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"countersign/host/control"
)

const (
	hostLog     = "host.log"
	maxHostLog  = 16 << 20         // bytes; a larger log is moved aside when the next host starts
	answerTime  = 3 * time.Second  // for a live host to answer
	startTime   = 20 * time.Second // for a new host to answer
	pollTime    = 20 * time.Millisecond
	retryTime   = 200 * time.Millisecond
	startsTried = 3
)

// passedOn are the only environment variables of the plugin that a host gets: a marker by which a local cluster knows
// its processes, and where certificates of authorities are. Anything else may hold a secret, or lead to one: where registry
// logins are, the configuration says.
var passedOn = []string{"COUNTERSIGN_CLUSTER", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// hostProcess finds the host process of a data directory, or starts one. A host is a session of its own and outlives
// the plugin that started it.
type hostProcess struct {
	client  *control.Client
	log     hclog.Logger
	onEvent func(control.Event)

	mu       sync.Mutex // held while a host is looked for or started
	config   control.HostConfig
	followed hostID // the host whose events are passed on
}

func newHostProcess(config control.HostConfig, log hclog.Logger, onEvent func(control.Event)) *hostProcess {
	return &hostProcess{client: control.NewClient(config.DataDir), log: log, onEvent: onEvent, config: config}
}

// reconfigure sets what the next host is started with; one that runs keeps its configuration.
func (p *hostProcess) reconfigure(config control.HostConfig) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config = config
}

// dir is the data directory, which never changes.
func (p *hostProcess) dir() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config.DataDir
}

// call is where the next host will take calls.
func (p *hostProcess) call() (address string, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config.Bind, p.config.Port
}

// startTask has a task started by the host of this data directory, and tells which process that is. A host that ends
// for want of work at this very moment is replaced.
func (p *hostProcess) startTask(ctx context.Context, r control.StartRequest) (control.StartReply, hostID, error) {
	var lost *control.UnreachableError
	for try := 1; ; try++ {
		info, err := p.ensure(ctx)
		if err != nil {
			return control.StartReply{}, hostID{}, err
		}
		reply, err := p.client.Start(ctx, r)
		if err == nil || !errors.As(err, &lost) || try == startsTried {
			return reply, idOf(info), err
		}
		p.log.Warn("the host went away while it started a task; trying again", "task", r.TaskID, "error", err)
	}
}

// ensure returns a host that answers.
func (p *hostProcess) ensure(ctx context.Context) (control.Info, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := p.ask(ctx)
	var absent *control.UnreachableError
	switch {
	case err == nil:
		p.follow(info, control.FromNow)
		if info.Version != control.Version {
			p.log.Warn("the host that runs is of another version; it is replaced once it has no tasks",
				"host", info.Version, "driver", control.Version)
		}
		return info, nil
	case !errors.As(err, &absent):
		return control.Info{}, fmt.Errorf("asking the host process of %s: %w", p.config.DataDir, err)
	}
	if info, err = p.start(ctx); err != nil {
		return control.Info{}, err
	}
	p.follow(info, 0)
	return info, nil
}

// find returns the host that runs, and starts none.
func (p *hostProcess) find(ctx context.Context) (control.Info, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := p.ask(ctx)
	if err == nil {
		p.follow(info, control.FromNow)
	}
	return info, err
}

func (p *hostProcess) ask(ctx context.Context) (control.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return p.client.Info(ctx)
}

// start starts a host and waits until it answers.
func (p *hostProcess) start(ctx context.Context) (control.Info, error) {
	log, err := p.openLog()
	if err != nil {
		return control.Info{}, err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return control.Info{}, fmt.Errorf("reading the size of the host's log: %w", err)
	}
	process, ended, err := p.spawn(log)
	if err != nil {
		return control.Info{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if info, err := p.ask(ctx); err == nil {
			p.log.Info("started the host process", "pid", info.PID, "address", info.Address, "port", info.Port)
			return info, nil
		}
		select {
		case <-ended:
			return control.Info{}, fmt.Errorf("starting the host process: it ended at once: %s", lastLine(log, before))
		case <-ctx.Done():
			process.Kill()
			return control.Info{}, fmt.Errorf("starting the host process: it did not answer in time: %w; see %s",
				ctx.Err(), log.Name())
		case <-time.After(pollTime):
		}
	}
}

// spawn runs this same file as a host. ended closes when it has ended and was reaped.
func (p *hostProcess) spawn(log *os.File) (process *os.Process, ended <-chan struct{}, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("starting the host process: finding the driver's file: %w", err)
	}
	config, err := json.Marshal(p.config)
	if err != nil {
		return nil, nil, fmt.Errorf("starting the host process: encoding its configuration: %w", err)
	}
	host := exec.Command(self, "host")
	host.Dir = p.config.DataDir
	host.Env = hostEnvironment(os.LookupEnv)
	host.Stdin = bytes.NewReader(config)
	host.Stdout, host.Stderr = log, log
	host.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // signals to the agent's group are not for it
	if err := host.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the host process: %w", err)
	}
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		if err := host.Wait(); err != nil {
			p.log.Error("the host process ended", "pid", host.Process.Pid, "error", err)
		}
	}()
	return host.Process, reaped, nil
}

// openLog opens the host's log in the data directory, both private.
func (p *hostProcess) openLog() (*os.File, error) {
	if err := control.MakeDataDir(p.config.DataDir); err != nil {
		return nil, err
	}
	path := filepath.Join(p.config.DataDir, hostLog)
	if info, err := os.Stat(path); err == nil && info.Size() > maxHostLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("moving the host's old log aside: %w", err)
		}
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the host's log: %w", err)
	}
	return log, nil
}

// follow passes a host's events on until it ends. after is where to begin; see control.Client.Events.
func (p *hostProcess) follow(info control.Info, after int64) {
	id := idOf(info)
	if p.followed == id {
		return
	}
	p.followed = id
	go func() {
		for id.alive() {
			err := p.client.Events(context.Background(), after, func(e control.Event) {
				after = int64(e.Seq)
				p.onEvent(e)
			})
			p.log.Debug("the host's event stream ended", "error", err)
			time.Sleep(retryTime)
		}
	}()
}

func hostEnvironment(lookup func(string) (string, bool)) []string {
	environment := []string{} // not nil, which would mean: all of ours
	for _, name := range passedOn {
		if value, ok := lookup(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

// lastLine returns the last thing that a process wrote to its log from an offset on.
func lastLine(log io.ReaderAt, from int64) string {
	written, err := io.ReadAll(io.NewSectionReader(log, from, 1<<20))
	if err != nil {
		return "its log can't be read: " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(written)), "\n")
	last := lines[len(lines)-1]
	if last == "" {
		return "it wrote nothing to its log"
	}
	return last
}
