package contract

import (
	"context"
	"fmt"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime"
)

// testEndings has calls end in every way, checks that the next one works after each, and that the account is right.
func testEndings(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	in := begin(t, runtime.Options{})
	tests := []struct {
		name    string
		request request
		timeout time.Duration
		code    countersign.Code
		reason  string
	}{
		{"error of the function", request{Do: "fail", Text: "deliberate"}, long, countersign.CodeFailed, "deliberate"},
		{"panic", request{Do: "panic", Text: "deliberate"}, long, countersign.CodePanicked, "deliberate"},
		{"panic in a goroutine", request{Do: "panic in a goroutine", Text: "in a goroutine"}, long,
			countersign.CodePanicked, "in a goroutine"},
		{"exit", request{Do: "exit", Size: 7}, long, countersign.CodeExited, "status 7"},
		{"exit without error", request{Do: "exit"}, long, countersign.CodeExited, "status 0"},
		{"out of memory", request{Do: "allocate"}, long, countersign.CodeOutOfMemory, ""},
		{"busy loop", request{Do: "loop"}, short, countersign.CodeDeadline, "was stopped"},
		{"sleep", request{Do: "sleep"}, short, countersign.CodeDeadline, "was stopped"},
		{"waits for its context", request{Do: "wait"}, short, countersign.CodeDeadline, "was stopped"},
		{"reply that is too large", request{Do: "repeat", Size: 2 * maxReply}, long, countersign.CodeTooLarge,
			fmt.Sprint(maxReply)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &instance{in.Instance, t}
			_, err := in.do(tt.timeout, tt.request)
			in.want(err, tt.code, tt.reason)
			if got := in.mustDo(request{Text: "hello"}); got != (reply{Text: "hello", Caller: caller}) {
				t.Errorf("afterwards it answers %+v", got)
			}
		})
	}
	_, err := in.Invoke(context.Background(), &countersign.Invocation{ID: "test", Body: []byte(`{"do"`)})
	in.want(err, countersign.CodeBadRequest, "does not fit")
	u, failures := in.Usage(), int64(len(tests)+1)
	if u.Calls != failures+int64(len(tests)) || u.Failures != failures || u.OOMs != 1 || u.InFlight != 0 {
		t.Errorf("after %d calls that failed, and %d that did not, its use is %+v", failures, len(tests), u)
	}
	if u.Sandboxes != 1 || u.CPU < short/2 || u.MemoryBytes == 0 || u.MemoryMax < memory/2 || u.DroppedOutput != 0 {
		t.Errorf("its use is %+v", u)
	}
}

// testDeadlines has calls end by the deadline of the invocation, and since the caller went away.
func testDeadlines(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	running := make(chan struct{})
	in := begin(t, runtime.Options{Caller: announcing(running)})
	for _, do := range []string{"loop", "wait"} {
		call := invocation(request{Do: do})
		call.Deadline = time.Now().Add(short)
		_, err := in.Invoke(context.Background(), call)
		in.want(err, countersign.CodeDeadline, "")
		in.mustDo(request{}) // so that the next finds a sandbox that is ready
	}
	for range 5 { // whoever notices first
		_, err := in.do(short, request{Do: "wait"})
		in.want(err, countersign.CodeDeadline, "")
		in.mustDo(request{})
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := in.Invoke(ctx, invocation(request{Do: "call and loop"}))
		ended <- err
	}()
	<-running
	cancel()
	in.want(<-ended, countersign.CodeCanceled, "went away")
	in.mustDo(request{})
}

// testReplySize has replies that are as large as may be, and a byte larger.
func testReplySize(t *testing.T, begin func(*testing.T, runtime.Options) *instance) {
	in := begin(t, runtime.Options{})
	body, err := in.do(long, request{Do: "repeat"})
	if err != nil {
		t.Fatal(err)
	}
	room := maxReply - len(body)
	if body, err := in.do(long, request{Do: "repeat", Size: room}); err != nil || len(body) != maxReply {
		t.Errorf("a reply of %d bytes: got %d, %v", maxReply, len(body), err)
	}
	_, err = in.do(long, request{Do: "repeat", Size: room + 1})
	in.want(err, countersign.CodeTooLarge, fmt.Sprintf("its reply has %d bytes; %d are allowed", maxReply+1, maxReply))
}
