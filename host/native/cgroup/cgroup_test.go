package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// member makes this test's executable a process to be confined: it waits for a line on its standard input, then does
// what the line says and stays.
const member = "CGROUP_TEST_MEMBER"

func TestMain(m *testing.M) {
	if os.Getenv(member) != "" {
		behave()
	}
	os.Exit(m.Run())
}

var kept [][]byte

func behave() {
	var what string
	fmt.Scanln(&what)
	switch what {
	case "allocate":
		for {
			block := make([]byte, 1<<20)
			for at := 0; at < len(block); at += 4096 {
				block[at] = 1
			}
			kept = append(kept, block)
		}
	case "leave": // a process that outlives its parent, in a session of its own
		child := exec.Command("setsid", "sleep", "1000")
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		fmt.Println(child.Process.Pid)
		os.Exit(0)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// open opens a tree whose owner is named by life, among the same kind if kind is the same.
func open(t *testing.T, kind, life string) *Tree {
	t.Helper()
	tree, err := Open(Owner{Kind: kind, Life: life})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func newKind(t *testing.T) string {
	owner, err := OwnerOf(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return owner.Kind
}

func makeGroup(t *testing.T, tree *Tree, name string, l Limits) *Group {
	t.Helper()
	g, err := tree.Make(name, "", l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Remove(), g.Remove(), tree.Close()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// start starts a process in a group, and has it do something there.
func start(t *testing.T, g *Group, what string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), member+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := g.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, what)
	var answer string
	fmt.Fscanln(out, &answer)
	return cmd, answer
}

func TestMemoryLimit(t *testing.T) {
	g := makeGroup(t, open(t, newKind(t), "1-1"), "a", Limits{Memory: 64 << 20, Tasks: 100})
	cmd, _ := start(t, g, "allocate")
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a process that takes all memory ended with %v", err)
	}
	u, err := g.Usage()
	if err != nil || u.OOMs == 0 || u.Peak < 32<<20 || u.Peak > 65<<20 {
		t.Errorf("got %+v, %v", u, err)
	}
}

func TestTaskLimit(t *testing.T) {
	g := makeGroup(t, open(t, newKind(t), "1-1"), "a", Limits{Memory: 256 << 20, Tasks: 1})
	_, answer := start(t, g, "leave") // with its threads it is over the limit already: no more can be started
	if pid, err := strconv.Atoi(answer); err == nil {
		t.Errorf("it could start process %d", pid)
	}
	if u, err := g.Usage(); err != nil || u.Refused == 0 {
		t.Errorf("got %+v, %v", u, err)
	}
}

// TestNothingEscapes ends a group in which a process has a child that is in a session of its own, and an orphan.
func TestNothingEscapes(t *testing.T) {
	g := makeGroup(t, open(t, newKind(t), "1-1"), "a", Limits{Memory: 256 << 20, Tasks: 100})
	cmd, answer := start(t, g, "leave")
	cmd.Wait()
	orphan, err := strconv.Atoi(answer)
	if err != nil {
		t.Fatal(err)
	}
	if in, err := pids(g.memory); err != nil || !in[orphan] {
		t.Fatalf("the orphan %d is not among %v, %v", orphan, in, err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if !ended(orphan) {
		t.Errorf("process %d survived its group", orphan)
	}
	if _, err := os.Stat(g.memory.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// TestSweep has what a dead owner left ended and removed, and what others use left alone.
func TestSweep(t *testing.T) {
	kind := newKind(t)
	limits := Limits{Memory: 256 << 20, Tasks: 100}
	dead := makeGroup(t, open(t, kind, "1-1"), "a", limits)
	alive := makeGroup(t, open(t, kind, "2-2"), "a", limits)
	foreign := makeGroup(t, open(t, newKind(t), "1-1"), "a", limits)
	var cmds []*exec.Cmd
	for _, g := range []*Group{dead, alive, foreign} {
		cmd, _ := start(t, g, "stay")
		cmds = append(cmds, cmd)
	}
	own := makeGroup(t, open(t, kind, "3-3"), "a", limits)
	next := open(t, kind, "3-3")
	asked := map[string]bool{}
	err := next.Sweep(func(life string) bool { asked[life] = true; return life == "2-2" })
	if err != nil || len(asked) != 2 || asked["3-3"] {
		t.Errorf("Sweep asked about %v and returned %v", asked, err)
	}
	if err := cmds[0].Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("what was left over ended with %v", err)
	}
	if _, err := os.Stat(filepath.Dir(dead.memory.dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of the dead owner is left: %v", err)
	}
	for i, g := range []*Group{alive, foreign, own} {
		if _, err := os.Stat(g.memory.dir); err != nil {
			t.Error(err)
		}
		if i < 2 && ended(cmds[i+1].Process.Pid) {
			t.Error("a process of another owner was ended")
		}
	}
}

// TestNameInUse has a group made anew whose name a process that crashed left.
func TestNameInUse(t *testing.T) {
	tree := open(t, newKind(t), "1-1")
	first := makeGroup(t, tree, "a", Limits{Memory: 256 << 20, Tasks: 100})
	cmd, _ := start(t, first, "stay")
	second, err := tree.Make("a", "", Limits{Memory: 64 << 20, Tasks: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("what was in the group goes on")
	}
	if in, err := pids(second.memory); err != nil || len(in) != 0 {
		t.Errorf("the new group has %v, %v", in, err)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	tree := open(t, newKind(t), "1-1")
	defer tree.Close()
	for _, name := range []string{"", ".", "..", "a/b", "../a", "/a", ".hidden"} {
		var refused *UnsupportedError
		if g, err := tree.Make(name, "", Limits{Memory: 64 << 20, Tasks: 100}); !errors.As(err, &refused) {
			t.Errorf("%q: got %v, %v", name, g, err)
			if g != nil {
				t.Log(g.Remove()) // it may be anywhere
			}
		}
	}
}

func TestAddOfProcessThatEnded(t *testing.T) {
	g := makeGroup(t, open(t, newKind(t), "1-1"), "a", Limits{Memory: 64 << 20, Tasks: 100})
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !ended(cmd.Process.Pid) {
		time.Sleep(time.Millisecond)
	}
	if err := g.Add(cmd.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v", err)
	}
	cmd.Wait()
}
