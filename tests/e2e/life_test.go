//go:build integration

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"countersign/cluster"
)

// processes returns the PIDs of this cluster's processes whose arguments match words; "*" matches any argument.
func processes(t *testing.T, words ...string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process may end while it is looked at: what cannot be read is not one of ours.
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if !strings.Contains("\x00"+string(environ), "\x00COUNTERSIGN_CLUSTER="+env.ID+"\x00") {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if matches(strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00"), words) {
			found = append(found, pid)
		}
	}
	return found
}

func matches(args, words []string) bool {
	if len(args) < len(words) {
		return false
	}
	for i, w := range words {
		if w != "*" && filepath.Base(args[i]) != w {
			return false
		}
	}
	return true
}

func hosts(t *testing.T) []int { return processes(t, "nomad-driver-countersign", "host") }

// plugins are the driver's plugin processes, without the hosts.
func plugins(t *testing.T) []int {
	var found []int
	host := map[int]bool{}
	for _, pid := range hosts(t) {
		host[pid] = true
	}
	for _, pid := range processes(t, "nomad-driver-countersign") {
		if !host[pid] {
			found = append(found, pid)
		}
	}
	return found
}

func kill(t *testing.T, pids []int) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("there is no such process")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %d: %v", pid, err)
		}
	}
}

func answers(t *testing.T) bool {
	t.Helper()
	_, code := call(t, "chaos", `{"do":"behave"}`)
	return code == 0
}

// undisturbed fails the test unless allocation and host are what they were and the task was not restarted since.
func undisturbed(t *testing.T, before *nomad.Allocation, host []int) {
	t.Helper()
	a := running(t, "chaos")
	if a.ID != before.ID {
		t.Errorf("allocation %s became %s", before.ID, a.ID)
	}
	if now := hosts(t); len(now) != 1 || now[0] != host[0] {
		t.Errorf("host %v became %v", host, now)
	}
	if was, n := before.TaskStates["chaos"].Restarts, a.TaskStates["chaos"].Restarts; n != was {
		t.Errorf("the task was restarted %d times, %d of them before", n, was)
	}
}

// TestFunctionsSurviveTheirPlugin kills the driver's plugin process: the function answers all the while, and the new
// plugin finds it again.
func TestFunctionsSurviveTheirPlugin(t *testing.T) {
	deploy(t, "chaos")
	allocation, host, plugin := running(t, "chaos"), hosts(t), plugins(t)
	kill(t, plugin)
	for range 10 {
		if !answers(t) {
			t.Fatal("the function does not answer while its plugin is away")
		}
		time.Sleep(200 * time.Millisecond)
	}
	eventually(t, "a new plugin process", func() bool {
		now := plugins(t)
		return len(now) > 0 && now[0] != plugin[0]
	})
	time.Sleep(2 * time.Second) // what would go wrong does so right after
	undisturbed(t, allocation, host)
}

// TestFunctionsSurviveTheAgent kills the Nomad agent; a new one finds the function as it was.
func TestFunctionsSurviveTheAgent(t *testing.T) {
	deploy(t, "chaos")
	allocation, host := running(t, "chaos"), hosts(t)
	kill(t, processes(t, "nomad", "agent"))
	if !answers(t) {
		t.Error("the function does not answer while the agent is away")
	}
	again, err := cluster.Up(t.Context(), cluster.Options{Dir: env.Dir, CLI: h.CLI,
		DriverBinary: h.Driver})
	if err != nil {
		t.Fatal(err)
	}
	env = again
	eventually(t, "the agent has its allocation again", func() bool {
		a := running(t, "chaos")
		return a.ID == allocation.ID && a.TaskStates["chaos"].State == "running"
	})
	undisturbed(t, allocation, host)
	if !answers(t) {
		t.Error("the function does not answer after the agent came back")
	}
}

// TestNomadRestartsWhatAHostTookAlong kills the host: Nomad notices, and starts the functions anew in a new one.
func TestNomadRestartsWhatAHostTookAlong(t *testing.T) {
	deploy(t, "chaos")
	host := hosts(t)
	kill(t, host)
	eventually(t, "the function answers from a new host", func() bool {
		now := hosts(t)
		return len(now) == 1 && now[0] != host[0] && answers(t)
	})
	// The client reports task events to the servers now and then.
	eventually(t, "a task event tells what happened", func() bool {
		return strings.Contains(events(running(t, "chaos")), "host process")
	})
}

// TestLogsAndStats reads what a function printed, and what it used, the way Nomad's users do.
func TestLogsAndStats(t *testing.T) {
	deploy(t, "chaos")
	explained, code := command(t, "", "call", "-explain", "chaos", `{"do":"print"}`)
	named := regexp.MustCompile(`(?m)^client/\S+ → function/chaos .* (\S+)$`).FindStringSubmatch(explained)
	if code != 0 || named == nil {
		t.Fatalf("exit code %d, want the call's ID\n%s", code, explained)
	}
	stamped := `(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ` + regexp.QuoteMeta(named[1]) + ` chaos prints to standard `
	allocation, nomad := running(t, "chaos"), filepath.Join(env.BinDir, "nomad")
	eventually(t, "the function's output in nomad alloc logs", func() bool {
		out, _ := run(t, "", nomad, "alloc", "logs", allocation.ID)
		errs, _ := run(t, "", nomad, "alloc", "logs", "-stderr", allocation.ID)
		return regexp.MustCompile(stamped+`output$`).MatchString(out) && regexp.MustCompile(stamped+`error$`).MatchString(errs)
	})
	eventually(t, "the function's own memory in the allocation's statistics", func() bool {
		usage, err := nomadClient(t).Allocations().Stats(allocation, nil)
		if err != nil || usage.Tasks["chaos"] == nil || usage.Tasks["chaos"].ResourceUsage == nil {
			return false
		}
		m := usage.Tasks["chaos"].ResourceUsage.MemoryStats
		return m != nil && max(m.RSS, m.Usage) > 1<<20 && max(m.RSS, m.Usage) <= 96<<20
	})
}

// TestSignals renews a call certificate by hand, and asks for what functions do not know.
func TestSignals(t *testing.T) {
	deploy(t, "chaos")
	a, nomad := running(t, "chaos"), filepath.Join(env.BinDir, "nomad")
	if out, code := run(t, "", nomad, "alloc", "signal", "-s", "SIGHUP", a.ID); code != 0 {
		t.Fatalf("SIGHUP: exit code %d\n%s", code, out)
	}
	eventually(t, "a task event tells of the new certificate", func() bool {
		return strings.Contains(events(running(t, "chaos")), "Call certificate renewed")
	})
	if !answers(t) {
		t.Error("the function does not answer with its new certificate")
	}
	if out, code := run(t, "", nomad, "alloc", "signal", "-s", "SIGUSR1", a.ID); code == 0 {
		t.Errorf("SIGUSR1 was taken:\n%s", out)
	}
}

// TestJobByHand stops a function's job and runs the rendered one with Nomad's own command.
func TestJobByHand(t *testing.T) {
	deploy(t, "chaos")
	nomad := filepath.Join(env.BinDir, "nomad")
	if out, code := run(t, "", nomad, "job", "stop", "-purge", "chaos"); code != 0 {
		t.Fatalf("nomad job stop: exit code %d\n%s", code, out)
	}
	if out, code := run(t, "", nomad, "job", "run", h.JobFile("chaos")); code != 0 {
		t.Fatalf("nomad job run: exit code %d\n%s", code, out)
	}
	eventually(t, "the function answers", func() bool { return answers(t) })
}
