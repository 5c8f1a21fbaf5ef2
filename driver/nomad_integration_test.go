//go:build integration

package driver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

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
	// Nomad may close the stream before it has passed on the exit code; what is shown comes in any case.
	a.until(t, "the exit code of alloc exec", func() bool {
		var shown bytes.Buffer
		code, err := a.client.Allocations().Exec(t.Context(), allocation, "run", false, []string{"ls"},
			strings.NewReader(""), io.Discard, &shown, nil, nil)
		if !strings.Contains(shown.String(), noExec) {
			t.Fatalf("alloc exec: code %d, %v, shown %q", code, err, shown.String())
		}
		return err == nil && code == 1
	})
}
