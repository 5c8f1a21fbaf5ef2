package native

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign"
	"countersign/host/native/cgroup"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// TestMemoryThatIsNotHeap has a function take memory in ways that its own heap does not show.
func TestMemoryThatIsNotHeap(t *testing.T) {
	const memory = 64 << 20
	i := start(t, limited(limits.Limits{Memory: memory}))
	for n, r := range []request{
		{Try: "shared", Size: 1536}, {Try: "sparse", Size: 64}, {Try: "shared", Size: 128}, {Try: "allocate"},
	} {
		_, err := invoke(t, i, time.Minute, r)
		wantCode(t, err, countersign.CodeOutOfMemory, fmt.Sprint(memory))
		mustWork(t, i)
		// A page beyond the limit is counted before it is refused.
		if u := i.Usage(); u.OOMs != int64(n+1) || u.MemoryMax < memory/2 || u.MemoryMax > memory+1<<20 {
			t.Errorf("%+v: usage %+v", r, u)
		}
	}
}

// TestMemoryOfTheKernel has the kernel hold what a function wrote and nobody reads.
func TestMemoryOfTheKernel(t *testing.T) {
	i := start(t, limited(limits.Limits{Memory: 16 << 20}))
	got, err := invoke(t, i, time.Minute, request{Try: "pipes", Size: 24})
	if u := i.Usage(); u.MemoryMax > 17<<20 {
		t.Errorf("usage %+v after %+v, %v", u, got, err)
	}
	mustWork(t, i)
}

func TestUsageIsTrue(t *testing.T) {
	i := start(t, limited(limits.Limits{Memory: 128 << 20}))
	mustWork(t, i)
	before := i.Usage().MemoryBytes
	if got, err := invoke(t, i, time.Minute, request{Try: "shared", Size: 64}); err != nil || !got.OK {
		t.Fatalf("got %+v, %v", got, err)
	}
	if u := i.Usage(); u.MemoryBytes-before < 63<<20 || u.MemoryBytes-before > 80<<20 || u.MemoryMax < u.MemoryBytes {
		t.Errorf("64 MiB more than %d are shown as %+v", before, u)
	}
}

func TestThreads(t *testing.T) {
	i := start(t, limited(limits.Limits{Memory: 256 << 20}))
	_, err := invoke(t, i, time.Minute, request{Try: "threads", Size: 6000})
	wantCode(t, err, countersign.CodePanicked, fmt.Sprintf("more than the %d threads", limits.Threads()))
	mustWork(t, i)
}

// stuck is a Caller whose calls don't end by themselves.
var stuck = callerFunc(func(ctx context.Context, _ *countersign.Invocation, _ string, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
})

// TestCallsThatAreHeld floods the host with calls, and looks at its heap meanwhile.
func TestCallsThatAreHeld(t *testing.T) {
	const memory = 32 << 20
	for _, try := range []string{"calls", "orphans"} {
		t.Run(try, func(t *testing.T) {
			i := start(t, Options{Options: runtime.Options{Limits: limits.Limits{Memory: memory}, Caller: stuck}})
			goruntime.GC()
			var before goruntime.MemStats
			goruntime.ReadMemStats(&before)
			got, err := invoke(t, i, 5*time.Minute, request{Try: try, Size: 30})
			if err != nil || !got.OK {
				t.Fatalf("got %+v, %v", got, err)
			}
			goruntime.GC()
			var after goruntime.MemStats
			goruntime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > memory {
				t.Errorf("the heap has grown by %d bytes", grown)
			}
			if peak := i.held.Peak(); peak > memory || try == "calls" && peak < memory/2 {
				t.Errorf("%d bytes were held", peak)
			}
			mustWork(t, i)
			held(t, i, 0)
		})
	}
}

// held waits until the host holds no more than the output's buffers and n bytes for calls.
func held(t *testing.T, i *Instance, n int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); i.held.Used() != outputHeld+n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are held, want %d and the output's %d", i.held.Used(), n, outputHeld)
		}
	}
}

// TestCallsThatWait has more calls wait for the one place than there is room for.
func TestCallsThatWait(t *testing.T) {
	const memory, body = 16 << 20, 1 << 20
	i := start(t, limited(limits.Limits{Memory: memory, Concurrency: 1}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { invoke(t, i, time.Minute, request{Try: "sleep", Size: 1500}) })
	for i.Usage().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	var mu sync.Mutex
	codes := map[countersign.Code]int{}
	const all = 32
	for range all {
		wg.Go(func() {
			_, err := i.Invoke(ctx, &countersign.Invocation{ID: "test", Body: make([]byte, body)})
			mu.Lock()
			defer mu.Unlock()
			codes[countersign.CodeOf(err)]++
		})
	}
	count := func(c countersign.Code) int {
		mu.Lock()
		defer mu.Unlock()
		return codes[c]
	}
	const most = memory / 2 / body
	for end := time.Now().Add(time.Minute); count(countersign.CodeOverloaded) < all-most && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if peak := i.held.Peak(); peak > memory/2+body+outputHeld {
		t.Errorf("%d bytes were held", peak)
	}
	cancel()
	wg.Wait()
	if n := count(countersign.CodeOverloaded); n < all-most {
		t.Errorf("%d calls of %d were refused: %v", n, all, codes)
	}
	held(t, i, 0)
	mustWork(t, i)
}

// TestRepliesThatAreHeld has a reply that its function's memory leaves no room for on the host.
func TestRepliesThatAreHeld(t *testing.T) {
	i := start(t, Options{Options: runtime.Options{Limits: limits.Limits{Memory: 48 << 20}, Caller: callerFunc(
		func(context.Context, *countersign.Invocation, string, []byte) ([]byte, error) {
			return append(append([]byte{'"'}, strings.Repeat("x", 64<<20)...), '"'), nil
		})}})
	got, err := invoke(t, i, time.Minute, request{Try: "call", Arg: "x"})
	if err != nil || !strings.Contains(got.Error, "out_of_memory: the reply has 67108866 bytes") {
		t.Errorf("a call with a huge reply: %+v, %v", got, err)
	}
	held(t, i, 0)
	if u := i.Usage(); u.OOMs != 1 {
		t.Errorf("usage %+v", u)
	}
}

// TestLeastMemory has a function work with the least memory that a spec can give.
func TestLeastMemory(t *testing.T) {
	mustWork(t, start(t, limited(limits.Limits{Memory: 10 << 20})))
}

// TestGroupOfTheInstance follows the cgroup from the start to the end.
func TestGroupOfTheInstance(t *testing.T) {
	o := limited(limits.Limits{Memory: 64 << 20})
	o.Function, o.Shim = "probe", shim
	i, err := Start(probe, o)
	if err != nil {
		t.Fatal(err)
	}
	mustWork(t, i)
	pid := i.current.cmd.Process.Pid
	in, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if n := strings.Count(string(in), ".probe\n"); err != nil || n == 0 {
		t.Errorf("the process is in %s, %v", in, err)
	}
	if err := i.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := i.group.Usage(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
	if u := i.Usage(); u.MemoryBytes != 0 || u.MemoryMax == 0 {
		t.Errorf("usage %+v", u)
	}
}

// TestNoGroupNoStart starts nothing where the limits can't be enforced.
func TestNoGroupNoStart(t *testing.T) {
	tree, err := cgroup.Open(cgroup.Owner{Kind: "test", Life: "1-1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]Group{"no name": {Tree: tree}, "a name that leads out": {Tree: tree, Name: "../out"}} {
		t.Run(name, func(t *testing.T) {
			o := named("probe", limits.Limits{Memory: 64 << 20})
			o.Shim, o.Group = shim, g
			i, err := Start(probe, o)
			var refused *UnsupportedError
			if !errors.As(err, &refused) || refused.Feature != "cgroups" || i != nil {
				t.Errorf("got %v, %v", i, err)
			}
		})
	}
}

// TestShimWaitsForItsGroup has a shim whose host ends before it said that the limits are set.
func TestShimWaitsForItsGroup(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	defer read.Close()
	if err := await(read); err == nil {
		t.Error("the shim went on")
	}
}

// TestLateKill has the host end a process that has ended already, when the next one is in its cgroup.
func TestLateKill(t *testing.T) {
	i := start(t, Options{})
	mustWork(t, i)
	first := i.current
	_, err := invoke(t, i, time.Minute, request{Try: "exit", Size: 3})
	wantCode(t, err, countersign.CodeExited, "status 3")
	mustWork(t, i)
	second := i.current
	first.kill(countersign.CodeBroken)
	first.breach("late")
	mustWork(t, i)
	if i.current != second {
		t.Error("the next process was ended")
	}
	if failure := first.deathError(); failure.Code != countersign.CodeExited {
		t.Errorf("the first ended with %v", failure)
	}
}
