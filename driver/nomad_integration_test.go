//go:build integration

package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"countersign/host/control"
	"countersign/tools/servers"
)

// agent is a real Nomad agent, server and client in one, with this test binary as its driver plugin.
type agent struct {
	dir     string
	plugin  string // path of the driver's file
	data    string // the host's data directory
	nomad   string // path of Nomad's file
	client  *api.Client
	command *exec.Cmd
}

const agentConfig = `
name                 = "test"
data_dir             = %q
plugin_dir           = %q
bind_addr            = "127.0.0.1"
disable_update_check = true
leave_on_interrupt   = false
leave_on_terminate   = false
ports {
  http = %d
  rpc  = %d
  serf = %d
}
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
server {
  enabled          = true
  bootstrap_expect = 1
  raft_multiplier  = 1
}
client {
  enabled           = true
  network_interface = "lo"
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
    "driver.allowlist"     = "countersign"
  }
}
telemetry {
  publish_allocation_metrics = true
}
plugin "nomad-driver-countersign" {
  config {
    data_dir = %q
    vault {
      address = "http://127.0.0.1:8200"
    }
  }
}
`

const job = `
job "%[1]s" {
  group "g" {
    restart {
      delay    = "200ms"
      attempts = 20
      mode     = "delay"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "run" {
      driver = "countersign"
      config {
        artifact = "registry.test/fn/%[1]s@` + digest + `"
      }
      identity {
        name = "countersign"
        aud  = ["vault.io"]
        ttl  = "1h"
        file = true
      }
      service {
        name         = "%[1]s"
        provider     = "nomad"
        port         = "call"
        address_mode = "driver"
      }
      resources {
        cpu    = 50
        memory = 16
        network {
          port "call" {}
        }
      }
    }
  }
}
`

// newAgent starts an agent that ends with the test, and everything of it.
func newAgent(t *testing.T) *agent {
	t.Helper()
	found, err := servers.Find(t.Context(), servers.Nomad)
	if err != nil {
		t.Fatalf("looking for Nomad: %v", err)
	}
	dir := t.TempDir()
	a := &agent{dir: dir, nomad: found.Path, data: filepath.Join(dir, "host"),
		plugin: filepath.Join(dir, "plugins", "nomad-driver-countersign")}
	self, err := os.Executable()
	if err := errors.Join(err, os.Mkdir(filepath.Dir(a.plugin), 0o755), os.Symlink(self, a.plugin)); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3)
	config := fmt.Sprintf(agentConfig, filepath.Join(dir, "nomad"), filepath.Dir(a.plugin), ports[0], ports[1], ports[2],
		a.data)
	if err := os.WriteFile(filepath.Join(dir, "agent.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.client, err = api.NewClient(&api.Config{Address: fmt.Sprintf("http://127.0.0.1:%d", ports[0])})
	if err != nil {
		t.Fatal(err)
	}
	a.start(t)
	t.Cleanup(func() { a.end(t) })
	return a
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// start starts the agent and waits until the driver is healthy.
func (a *agent) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(a.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	a.command = exec.Command(a.nomad, "agent", "-config", filepath.Join(a.dir, "agent.hcl"))
	a.command.Stdout, a.command.Stderr = log, log
	// A certificate bundle for AWS in the environment keeps Nomad from starting, even where nothing of AWS is used.
	a.command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_CA_BUNDLE=") })
	if err := a.command.Start(); err != nil {
		t.Fatal(err)
	}
	a.until(t, "a healthy driver", func() bool {
		nodes, _, err := a.client.Nodes().List(nil)
		return err == nil && len(nodes) == 1 && nodes[0].Status == "ready" && nodes[0].Drivers[Name] != nil &&
			nodes[0].Drivers[Name].Healthy
	})
}

// until waits for something that Nomad does, which takes its time; if it does not, it shows Nomad's log.
func (a *agent) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(a.dir, "agent.log"))
			t.Fatalf("waited in vain for %s; the end of Nomad's log:\n%s", what, log[max(0, len(log)-4000):])
		}
	}
}

// kill ends the agent with SIGKILL.
func (a *agent) kill() {
	a.command.Process.Kill()
	a.command.Wait()
}

// end purges all jobs and ends the agent, its plugin and the host.
func (a *agent) end(t *testing.T) {
	jobs, _, err := a.client.Jobs().List(nil)
	for _, j := range jobs {
		_, _, stopErr := a.client.Jobs().Deregister(j.ID, true, nil)
		err = errors.Join(err, stopErr)
	}
	if err != nil {
		t.Errorf("stopping the jobs: %v", err)
	}
	a.until(t, "the end of all tasks", func() bool {
		allocations, _, err := a.client.Allocations().List(nil)
		return err == nil && !slices.ContainsFunc(allocations, func(s *api.AllocationListStub) bool {
			return s.ClientStatus == "running" || s.ClientStatus == "pending"
		})
	})
	if err := a.client.System().GarbageCollect(); err != nil {
		t.Errorf("collecting garbage: %v", err)
	}
	a.until(t, "the removal of what Nomad mounted", func() bool {
		mounts, err := os.ReadFile("/proc/self/mounts")
		return err == nil && !strings.Contains(string(mounts), a.dir)
	})
	a.command.Process.Signal(os.Interrupt)
	a.command.Wait()
	endHost(t, a.data)
	for _, pid := range a.plugins(t) { // one that a killed agent left to the next is nobody's child
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// plugins returns the IDs of the plugin's processes, hosts not among them.
func (a *agent) plugins(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && string(line) == a.plugin+"\x00" {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// run submits a job for a function.
func (a *agent) run(t *testing.T, function string) {
	t.Helper()
	parsed, err := a.client.Jobs().ParseHCL(fmt.Sprintf(job, function), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.client.Jobs().Register(parsed, nil); err != nil {
		t.Fatal(err)
	}
}

// task returns a function's only allocation and its task's state, once there is one.
func (a *agent) task(function string) (*api.Allocation, *api.TaskState) {
	stubs, _, err := a.client.Jobs().Allocations(function, true, nil)
	if err != nil || len(stubs) != 1 {
		return nil, &api.TaskState{}
	}
	allocation, _, err := a.client.Allocations().Info(stubs[0].ID, nil)
	if err != nil || allocation.TaskStates["run"] == nil {
		return allocation, &api.TaskState{}
	}
	return allocation, allocation.TaskStates["run"]
}

// untilEvent waits for an event of a function's task whose text contains part.
func (a *agent) untilEvent(t *testing.T, function, part string) {
	t.Helper()
	a.until(t, fmt.Sprintf("an event of %s with %q", function, part), func() bool {
		_, state := a.task(function)
		return slices.ContainsFunc(state.Events, func(e *api.TaskEvent) bool {
			return strings.Contains(e.DisplayMessage, part)
		})
	})
}

func (a *agent) untilRunning(t *testing.T, function string, restarts uint64) {
	t.Helper()
	a.until(t, function+" to run", func() bool {
		_, state := a.task(function)
		return state.State == "running" && state.Restarts == restarts
	})
}

func (a *agent) host(t *testing.T) control.Info {
	t.Helper()
	info, err := control.NewClient(a.data).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// signal shows that Nomad, plugin and host are one chain again.
func (a *agent) signal(t *testing.T, function, signal string) {
	t.Helper()
	allocation, _ := a.task(function)
	if err := a.client.Allocations().Signal(allocation, nil, "run", signal); err != nil {
		t.Errorf("%s: %v", signal, err)
	}
	a.untilEvent(t, function, "got "+signal)
}

// TestOnNomad is the life of a function on a real Nomad, with everything killed that can be.
func TestOnNomad(t *testing.T) {
	a := newAgent(t)
	a.run(t, "quote")
	a.untilRunning(t, "quote", 0)
	a.untilEvent(t, "quote", "verified")
	a.checkService(t)
	a.checkLogs(t)
	a.checkStats(t)
	a.checkExec(t)
	first := a.host(t)

	before := a.plugins(t)
	if len(before) != 1 {
		t.Fatalf("plugin processes: %v", before)
	}
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.until(t, "a new plugin", func() bool {
		now := a.plugins(t)
		return len(now) == 1 && now[0] != before[0]
	})
	a.signal(t, "quote", "SIGHUP")

	a.kill()
	a.start(t)
	a.signal(t, "quote", "SIGINT")

	a.command.Process.Signal(os.Interrupt)
	a.command.Wait()
	a.start(t)
	a.signal(t, "quote", "SIGTERM")
	a.untilRunning(t, "quote", 0)
	if now := a.host(t); now != first {
		t.Errorf("host %v became %v", first, now)
	}

	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.untilEvent(t, "quote", fmt.Sprintf("the host process %d died", first.PID))
	a.untilRunning(t, "quote", 1)
}

// TestRefusalOnNomad shows what a user sees of starts that fail.
func TestRefusalOnNomad(t *testing.T) {
	a := newAgent(t)
	a.run(t, "refused")
	a.run(t, "unreachable")
	a.untilEvent(t, "refused", "Refused: start: refused")
	a.untilEvent(t, "refused", "Error was unrecoverable")
	a.until(t, "retries of what could not be reached", func() bool {
		_, state := a.task("unreachable")
		return state.Restarts >= 2 && !state.Failed
	})
}

func (a *agent) checkService(t *testing.T) {
	t.Helper()
	a.until(t, "the service", func() bool {
		list, _, err := a.client.Services().Get("quote", nil)
		return err == nil && len(list) == 1 && list[0].Address == "127.0.0.1" && list[0].Port == 4650
	})
}

func (a *agent) checkLogs(t *testing.T) {
	t.Helper()
	allocation, _ := a.task("quote")
	want := "quote runs with " + filepath.Join(a.dir, "nomad", "alloc", allocation.ID, "run", identityFile)
	a.until(t, "the function's output", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		reader, err := a.client.AllocFS().Cat(allocation, "alloc/logs/run.stdout.0", (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return false
		}
		defer reader.Close()
		out, err := io.ReadAll(reader)
		return err == nil && strings.TrimSpace(string(out)) == want
	})
	if _, err := os.Stat(strings.TrimPrefix(want, "quote runs with ")); err != nil {
		t.Errorf("the workload identity is not where the driver says: %v", err)
	}
}

func (a *agent) checkStats(t *testing.T) {
	t.Helper()
	allocation, _ := a.task("quote")
	a.until(t, "measurements", func() bool {
		use, err := a.client.Allocations().Stats(allocation, nil)
		return err == nil && use.Tasks["run"] != nil && use.ResourceUsage.MemoryStats.RSS == 3<<20 &&
			use.ResourceUsage.CpuStats.Percent > 140 && use.ResourceUsage.CpuStats.Percent < 160
	})
}

func (a *agent) checkExec(t *testing.T) {
	t.Helper()
	allocation, _ := a.task("quote")
	var shown bytes.Buffer
	code, err := a.client.Allocations().Exec(t.Context(), allocation, "run", false, []string{"ls"},
		strings.NewReader(""), io.Discard, &shown, nil, nil)
	if err != nil || code != 1 || !strings.Contains(shown.String(), noExec) {
		t.Errorf("alloc exec: code %d, %v, shown %q", code, err, shown.String())
	}
}
