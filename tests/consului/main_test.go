//go:build integration

// The tests of this command need a Consul, named by COUNTERSIGN_CONSUL or on PATH, and Chromium.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/tests/consului/check"
	"countersign/tests/consului/page"
)

// expectations is what application sets up.
func expectations() *check.Expectations {
	instance := func(release, node string) check.Instance {
		return check.Instance{Release: release, Artifact: digest(release), Node: node,
			Tags: []string{"ingress", "io-storage-rules", "io-network-rates"}}
	}
	return &check.Expectations{
		Function: "quote",
		Instances: []check.Instance{instance(releaseA, "node-1"), instance(releaseA, "node-2"),
			instance(releaseB, "node-2")},
		Intentions: []page.Intention{
			{Source: "checkout", Destination: "quote", Action: "allow"},
			{Source: "quote", Destination: "fx", Action: "allow"},
			{Source: "quote", Destination: "tax", Action: "allow"},
			{Source: "*", Destination: "*", Action: "deny"},
		},
		Topology: &check.Topology{Upstreams: []string{"tax", "fx"}, Downstreams: []string{"checkout"}},
		Routing: &check.Routing{
			Routes: []page.Route{
				{Match: "Prefix /preview", To: "resolver:canary.quote"},
				{Match: `Prefix /; headers: x-canary exactly matching "1"`, To: "resolver:canary.quote"},
				{Match: "Prefix /", To: "splitter:quote"},
			},
			Splits:  map[string]float64{"stable": 90, "canary": 10},
			Subsets: map[string]string{"stable": filter(releaseA), "canary": filter(releaseB)},
		},
	}
}

// arguments writes the expectations to a file and returns the command's arguments.
func arguments(t *testing.T, url string, e *check.Expectations, out string) []string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "expect.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-consul", url, "-expect", path, "-out", out}
}

// look runs the command and returns its exit status and output. It leaves nothing in the directory for temporary files.
func look(t *testing.T, url string, e *check.Expectations, out string) (code int, stdout, stderr string) {
	t.Helper()
	scratch, args := shortDir(t), arguments(t, url, e, out)
	t.Setenv("TMPDIR", scratch)
	var o, e2 bytes.Buffer
	code = run(t.Context(), args, &o, &e2)
	t.Logf("exit status %d\n%s%s", code, &o, &e2)
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind in the temporary directory: %v, %v", left, err)
	}
	return code, o.String(), e2.String()
}

// shortDir returns a directory for the browser's profile, whose path may not be long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func failed(output string) (lines []string) {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "FAIL") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestPagesShowWhatIsConfigured(t *testing.T) {
	c := startConsul(t)
	c.application()
	out := t.TempDir()
	if keep := os.Getenv("CONSULUI_SCREENSHOTS"); keep != "" {
		out = keep
	}

	t.Run("as it should be", func(t *testing.T) {
		code, stdout, stderr := look(t, c.url, expectations(), out)
		if code != exitOK || stderr != "" || strings.Count(stdout, "ok  ") != len(strings.Split(stdout, "\n"))-1 {
			t.Errorf("exit status %d, errors %q; want nothing but ok", code, stderr)
		}
		for _, name := range []string{"topology", "instances", "instance", "intentions", "routing", "routing-stable",
			"routing-canary"} {
			checkScreenshot(t, filepath.Join(out, name+".png"))
		}
	})

	t.Run("after changes in Consul", func(t *testing.T) {
		c.split(70, 30)
		c.entry("service-intentions", "quote", object{"Sources": []object{{"Name": "auditor", "Action": "allow"}}})
		c.instance("quote", "abcdefabcdef", "node-1", "0f0f0f0f-1111-4444-8888-000000000001")
		code, stdout, _ := look(t, c.url, expectations(), t.TempDir())
		want := []string{
			"FAIL  Topology: wanted downstream checkout; the page shows none",
			"FAIL  Intentions: wanted intention checkout -> quote allow; the page shows auditor -> quote allow, ",
			"FAIL  Intentions: wanted no other intention; the page shows auditor -> quote allow",
			"FAIL  Routing: wanted split canary=10%; the page shows canary=30%, stable=70%",
			"FAIL  Routing: wanted split stable=90%; the page shows stable=70%",
			"FAIL  Instances: wanted release aaaaaaaaaaaa of " + digest(releaseA) + " on node-1 with tags ingress, " +
				"io-storage-rules, io-network-rates; the page shows release abcdefabcdef of " + digest("abcdefabcdef"),
			"FAIL  Instances: wanted no other instance; the page shows release abcdefabcdef",
		}
		got := failed(stdout)
		if code != exitFailed || !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("exit status %d, failures:\n%s\nwant those that begin with:\n%s", code,
				strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})

	t.Run("without the function", func(t *testing.T) {
		e := expectations()
		e.Function = "absent"
		code, stdout, _ := look(t, c.url, e, t.TempDir())
		if got := failed(stdout); code != exitFailed || len(got) != 4 {
			t.Errorf("exit status %d, failures %q; want 1 and one for each tab", code, got)
		}
	})

	t.Run("interrupted", func(t *testing.T) { interrupted(t, c.url) })
}

func checkScreenshot(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	picture, err := png.DecodeConfig(file)
	if err != nil || picture.Width != 1600 || picture.Height != 900 {
		t.Errorf("%s is %dx%d, %v; want a PNG of 1600x900", path, picture.Width, picture.Height, err)
	}
}

// interrupted sends the command an interrupt, as Ctrl-C does, when its browser is at work.
func interrupted(t *testing.T, url string) {
	binary := filepath.Join(t.TempDir(), "consului")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	scratch := shortDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, arguments(t, url, expectations(), t.TempDir())...)
	command.Env = append(os.Environ(), "TMPDIR="+scratch)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for len(running(t, scratch)) < 3 {
		if ctx.Err() != nil {
			t.Fatal("no browser with its helpers is running")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if code := command.ProcessState.ExitCode(); code != exitBroken {
		t.Errorf("exit status %d, %s; want %d", code, &stderr, exitBroken)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind in the temporary directory: %v, %v", left, err)
	}
	// The browser's crash handler is nobody's child, and ends by itself once it notices that the browser has.
	left := running(t, scratch)
	for end := time.Now().Add(20 * time.Second); len(left) > 0 && time.Now().Before(end); left = running(t, scratch) {
		time.Sleep(20 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
}

// running returns the command lines of the processes, other than the command itself, that have a directory in theirs.
func running(t *testing.T, directory string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		// One that has just ended can't be read.
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(directory)) {
			lines = append(lines, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return lines
}

func TestWhatCannotBeReached(t *testing.T) {
	t.Run("no server", func(t *testing.T) {
		url := "http://127.255.1.1:" + freePorts(t, "127.255.1.1", 1)[0] // an address that nothing else uses
		if code, _, stderr := look(t, url, expectations(), t.TempDir()); code != exitBroken ||
			!strings.Contains(stderr, url) {
			t.Errorf("exit status %d, error %q; want 2 and the URL", code, stderr)
		}
	})
	t.Run("no browser", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		t.Setenv("PATH", t.TempDir())
		if code, _, stderr := look(t, server.URL, expectations(), t.TempDir()); code != exitBroken ||
			!strings.Contains(stderr, "tools/install-chromium") {
			t.Errorf("exit status %d, error %q; want 2 and advice", code, stderr)
		}
	})
}
