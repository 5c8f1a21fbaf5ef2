//go:build integration

package driver

import (
	"errors"
	"fmt"
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

	"countersign/cluster/servers"
	"countersign/host/control"
	"countersign/tests/alone"
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
data_dir             = %[1]q
plugin_dir           = %[2]q
bind_addr            = %[3]q
disable_update_check = true
leave_on_interrupt   = false
leave_on_terminate   = false
advertise {
  http = %[3]q
  rpc  = %[3]q
  serf = %[3]q
}
ports {
  http = %[4]d
  rpc  = %[5]d
  serf = %[6]d
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
    data_dir = %[7]q
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
	ip := alone.Address()
	ports := alone.Ports(t, ip, 3)
	config := fmt.Sprintf(agentConfig, filepath.Join(dir, "nomad"), filepath.Dir(a.plugin), ip, ports[0], ports[1], ports[2],
		a.data)
	if err := os.WriteFile(filepath.Join(dir, "agent.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.client, err = api.NewClient(&api.Config{Address: fmt.Sprintf("http://%s:%d", ip, ports[0])})
	if err != nil {
		t.Fatal(err)
	}
	a.start(t)
	t.Cleanup(func() { a.end(t) })
	return a
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
	// Nomad sees that a plugin has been replaced a moment after the new one runs.
	a.until(t, "Nomad to pass on "+signal, func() bool {
		return a.client.Allocations().Signal(allocation, nil, "run", signal) == nil
	})
	a.untilEvent(t, function, "got "+signal)
}
