package contract

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
	"countersign/host/runtime/limits"
)

// testPlaces has a call wait in vain, and another for the place of one that is stopped.
func testPlaces(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	running := make(chan struct{})
	in := begin(t, runtime.Options{Limits: limits.Limits{Concurrency: 1}, Caller: announcing(running)})
	ctx, cancel := context.WithCancel(context.Background())
	ended, waiting := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := in.Invoke(ctx, invocation(request{Do: "call and loop"}))
		ended <- err
	}()
	<-running
	_, err := in.do(short, request{})
	in.want(err, countersign.CodeOverloaded, "")
	waiter, leave := context.WithCancel(context.Background())
	go func() {
		_, err := in.Invoke(waiter, invocation(request{}))
		waiting <- err
	}()
	in.until(2)
	leave()
	in.want(<-waiting, countersign.CodeCanceled, "")
	go func() {
		_, err := in.do(long, request{})
		waiting <- err
	}()
	in.until(2)
	cancel()
	in.want(<-ended, countersign.CodeCanceled, "")
	if err := <-waiting; err != nil {
		t.Errorf("a call that waited for the place of a stopped one got %v", err)
	}
}

// until waits until n calls are in flight.
func (in *instance) until(n int) {
	for in.Usage().InFlight != n {
		time.Sleep(time.Millisecond)
	}
}

func testOutput(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	var stdout, stderr bytes.Buffer
	in := begin(t, runtime.Options{Stdout: &stdout, Stderr: &stderr})
	in.mustDo(request{Do: "print", Size: 3})
	if err := in.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for stream, got := range map[string]string{"output": stdout.String(), "error": stderr.String()} {
		want := ""
		for n := range 3 { // a runtime that runs several calls in one sandbox does not know which of them prints
			want += fmt.Sprintf(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (test|-) line %d of the standard %s\n`, n, stream)
		}
		if !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("standard %s is %q, want %q", stream, got, want)
		}
	}
}

// testCloseWaits closes an instance with a call that ends in time.
func testCloseWaits(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	running, leave := make(chan struct{}), make(chan struct{})
	in := begin(t, runtime.Options{Caller: other(func(context.Context, string) ([]byte, error) {
		close(running)
		<-leave
		return []byte(`""`), nil
	})})
	ended, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := in.do(long, request{Do: "call"})
		ended <- err
	}()
	<-running
	go func() { closed <- in.Close(context.Background()) }()
	for { // until new calls are refused
		_, err := in.do(time.Millisecond, request{})
		if countersign.CodeOf(err) == countersign.CodeUnavailable {
			break
		}
		in.want(err, countersign.CodeOverloaded, "")
	}
	select {
	case err := <-closed:
		t.Errorf("Close did not wait for a call, and returned %v", err)
	default:
	}
	close(leave)
	if err := <-ended; err != nil {
		t.Errorf("a call that ended in time got %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// testCloseStops closes an instance with a call that does not end.
func testCloseStops(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	running, ended := make(chan struct{}), make(chan error, 1)
	in := begin(t, runtime.Options{Caller: announcing(running)})
	go func() {
		_, err := in.do(long, request{Do: "call and loop"})
		ended <- err
	}()
	<-running
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	if err := in.Close(ctx); err != nil {
		t.Error(err)
	}
	in.want(<-ended, countersign.CodeUnavailable, "being stopped")
}
