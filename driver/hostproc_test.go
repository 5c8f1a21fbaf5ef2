package driver

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	baseproto "github.com/hashicorp/nomad/plugins/base/proto"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"countersign/host/control"
)

func TestHostKnowsNoSecret(t *testing.T) {
	for name, value := range map[string]string{"NOMAD_TOKEN": "secret", "VAULT_TOKEN": "secret",
		"COUNTERSIGN_CLUSTER": "c1", "SSL_CERT_FILE": "/ca.pem", "SSL_CERT_DIR": "/certs"} {
		t.Setenv(name, value)
	}
	dir := newDir(t)
	startPlugin(t, dir, nil).start(t, taskOf(t, "quote"))
	got, err := os.ReadFile(filepath.Join(dir, fileEnvironment))
	if err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(hostPID(t, dir))
	want := "sid=" + pid + " pid=" + pid + " vault=http://127.0.0.1:8200\nCOUNTERSIGN_CLUSTER=c1\n" +
		"SSL_CERT_FILE=/ca.pem\nSSL_CERT_DIR=/certs\n"
	if string(got) != want {
		t.Errorf("the host got %q, want %q", got, want)
	}
}

func TestHostThatCannotStart(t *testing.T) {
	dir := newDir(t)
	if err := os.WriteFile(filepath.Join(dir, fileBreak), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPlugin(t, dir, nil)
	_, err := p.driver.StartTask(t.Context(), &proto.StartTaskRequest{Task: taskOf(t, "quote")})
	if err == nil || !strings.Contains(err.Error(), "it ended at once: the call listener's port is taken") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, fileBreak)); err != nil {
		t.Fatal(err)
	}
	p.start(t, taskOf(t, "quote"))
}

func TestRecoveryAfterPluginWasKilled(t *testing.T) {
	dir := newDir(t)
	first := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	handle := first.start(t, task).Handle
	pid := hostPID(t, dir)
	first.kill(t)

	second := startPlugin(t, dir, map[string]any{"data_dir": t.TempDir()}) // reconfigured in between
	if _, err := second.driver.RecoverTask(t.Context(), &proto.RecoverTaskRequest{Handle: handle}); err != nil {
		t.Fatalf("RecoverTask: %v", err)
	}
	if now := hostPID(t, dir); now != pid {
		t.Errorf("host %d became %d", pid, now)
	}
	signal := &proto.SignalTaskRequest{TaskId: task.Id, Signal: "SIGHUP"}
	if _, err := second.driver.SignalTask(t.Context(), signal); err != nil {
		t.Errorf("SignalTask: %v", err)
	}
	if e := second.expect(t, "got SIGHUP"); e.AllocId != "a1b2" {
		t.Errorf("event: %v", e)
	}
	if _, err := second.driver.StopTask(t.Context(), &proto.StopTaskRequest{TaskId: task.Id}); err != nil {
		t.Errorf("StopTask: %v", err)
	}
	if w := second.wait(t, task.Id); w.Err != "" {
		t.Errorf("WaitTask: %v", w)
	}
}

func TestRecoveryThatIsRefused(t *testing.T) {
	dir := newDir(t)
	p := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	good := p.start(t, task).Handle
	state := string(good.DriverState)
	pid := strconv.Itoa(hostPID(t, dir))
	other := &proto.TaskConfig{Id: "a1b2/run/other"}
	for what, test := range map[string]struct {
		handle *proto.TaskHandle
		reason string
	}{
		"no handle":    {nil, "no handle"},
		"no config":    {&proto.TaskHandle{Version: 1, DriverState: good.DriverState}, "no handle"},
		"version":      {&proto.TaskHandle{Version: 2, Config: other, DriverState: good.DriverState}, "has version 2"},
		"no JSON":      {&proto.TaskHandle{Version: 1, Config: other, DriverState: []byte("{")}, "reading its handle"},
		"unknown task": {&proto.TaskHandle{Version: 1, Config: other, DriverState: good.DriverState}, "does not know"},
		"reused PID": {&proto.TaskHandle{Version: 1, Config: other, DriverState: []byte(strings.Replace(state,
			`"host_start_tick":`, `"host_start_tick":9`, 1))}, "host process " + pid + " is gone"},
	} {
		_, err := p.driver.RecoverTask(t.Context(), &proto.RecoverTaskRequest{Handle: test.handle})
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHostThatDies(t *testing.T) {
	dir := newDir(t)
	p := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	p.start(t, task)
	pid := hostPID(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if w := p.wait(t, task.Id); !strings.Contains(w.Err, "the host process "+strconv.Itoa(pid)+" died") {
			t.Errorf("WaitTask: %v", w)
		}
	}
	eventually(t, "the dead host to be reaped", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(pid))
		return errors.Is(err, os.ErrNotExist)
	})
	again := taskOf(t, "quote")
	again.Id = "a1b2/run/again"
	p.start(t, again)
	if now := hostPID(t, dir); now == pid {
		t.Errorf("host %d is still there", pid)
	}
	if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id}); err != nil {
		t.Errorf("destroying a dead host's task: %v", err)
	}
}

// A killed agent leaves the plugin with a standard error that nobody reads; the next agent takes the plugin over.
func TestPluginOutlivesItsAgent(t *testing.T) {
	dir := newDir(t)
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), handshake.MagicCookieKey+"="+handshake.MagicCookieValue, "PLUGIN_MIN_PORT=10000",
		"PLUGIN_MAX_PORT=25000", "PLUGIN_PROTOCOL_VERSIONS=2")
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	fields := strings.Split(line, "|") // core version, plugin version, network, address, protocol
	if err != nil || len(fields) < 5 || fields[2] != "unix" {
		t.Fatalf("the plugin said %q, %v", line, err)
	}
	connection, err := grpc.NewClient("unix:"+fields[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close(); command.Process.Kill(); command.Wait() })
	p := &running{base: baseproto.NewBasePluginClient(connection), driver: proto.NewDriverClient(connection),
		process: command.Process, events: make(chan *proto.DriverTaskEvent, 100)}
	p.configure(t, dir, nil)
	stdout.Close()
	stderr.Close()

	task := taskOf(t, "quote")
	p.start(t, task) // logs that it started a host
	endHost(t, dir)  // logs that the host ended
	if w := p.wait(t, task.Id); !strings.Contains(w.Err, "died") {
		t.Errorf("WaitTask: %v", w)
	}
	if _, err := control.StartTick(p.process.Pid); err != nil {
		t.Errorf("the plugin ended: %v", err)
	}
}

func TestHostThatLeftWhileIdle(t *testing.T) {
	dir := newDir(t)
	if err := os.WriteFile(filepath.Join(dir, fileLeave), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPlugin(t, dir, nil)
	for range 3 {
		task := taskOf(t, "quote")
		p.start(t, task)
		if _, err := p.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id, Force: true}); err != nil {
			t.Fatalf("DestroyTask: %v", err)
		}
	}
}

func TestForcedDestructionOfWhatWasNotRecovered(t *testing.T) {
	dir := newDir(t)
	first := startPlugin(t, dir, nil)
	task := taskOf(t, "quote")
	first.start(t, task)
	first.kill(t)
	second := startPlugin(t, dir, nil)
	_, err := second.driver.DestroyTask(t.Context(), &proto.DestroyTaskRequest{TaskId: task.Id, Force: true})
	if status.Convert(err).Message() != "task not found for given id" {
		t.Errorf("DestroyTask: %v", err)
	}
	if _, err := control.NewClient(dir).Status(t.Context(), task.Id); !errors.Is(err, control.ErrUnknownTask) {
		t.Errorf("the task still runs: %v", err)
	}
}
