//go:build integration

package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// pause stops the processes of a server as SIGSTOP does: it takes connections, and answers nothing. The returned function
// lets them go on.
func pause(t *testing.T, words ...string) (resume func()) {
	t.Helper()
	pids := processes(t, words...)
	if len(pids) == 0 {
		t.Fatalf("no process %v runs", words)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSilentServers deploys while a server is silent: the deploy says for whom it waits, and gives up.
func TestSilentServers(t *testing.T) {
	deploy(t, "chaos")
	for _, words := range [][]string{{"vault", "server"}, {"nomad", "agent"}, {"consul", "agent"}, {"registry", "serve"}} {
		name := strings.ToUpper(words[0][:1]) + words[0][1:]
		if words[0] == "registry" {
			name = words[0]
		}
		resume := pause(t, words...)
		out, code := command(t, "", "deploy", "-manifest", h.Manifest(t, nil, "chaos"), "-jobs-dir", t.TempDir())
		resume()
		for _, want := range []string{"waiting for " + name + " at ", "s more", "was silent for 10s"} {
			if code == 0 || !strings.Contains(out, want) {
				t.Errorf("%s is silent: exit code %d, want %q\n%s", name, code, want, out)
			}
		}
		eventually(t, name+" answers again", func() bool {
			_, code := command(t, "", "deploy", "-manifest", h.Manifest(t, nil, "chaos"), "-jobs-dir", t.TempDir())
			return code == 0
		})
	}
}

// TestCallWhileConsulIsSilent calls a function that was called before.
func TestCallWhileConsulIsSilent(t *testing.T) {
	deploy(t, "chaos")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if out, code := call(t, "chaos", `{"do":"behave"}`); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	resume := pause(t, "consul", "agent")
	out, code := call(t, "chaos", `{"do":"behave"}`)
	resume()
	if code != 0 || !strings.Contains(out, "Consul does not answer") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
