package runtime

import (
	"context"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime/frame"
)

func TestFailed(t *testing.T) {
	o := Options{Function: "quote"}
	for _, tt := range []struct{ code, want countersign.Code }{
		{countersign.CodeFailed, countersign.CodeFailed},
		{countersign.CodePanicked, countersign.CodePanicked},
		{countersign.CodeBadRequest, countersign.CodeBadRequest},
		{countersign.CodeUnverified, countersign.CodeBroken}, // the platform's to say
		{"", countersign.CodeBroken},
	} {
		got := o.Failed(frame.Reply{Code: string(tt.code), Message: "no\xff"})
		if got.Code != tt.want || got.Function != "quote" || tt.want != countersign.CodeBroken && got.Reason != "no\uFFFD" {
			t.Errorf("%q: got %v, want %s", tt.code, got, tt.want)
		}
	}
}

func TestUntil(t *testing.T) {
	soon, late := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	for _, tt := range []struct{ parent, deadline, want time.Time }{
		{time.Time{}, time.Time{}, time.Time{}}, {time.Time{}, soon, soon}, {soon, time.Time{}, soon},
		{soon, late, soon}, {late, soon, soon},
	} {
		parent, cancel := Until(context.Background(), tt.parent)
		defer cancel()
		ctx, cancel := Until(parent, tt.deadline)
		defer cancel()
		if at, _ := ctx.Deadline(); !at.Equal(tt.want) {
			t.Errorf("%+v: the deadline is %v", tt, at)
		}
	}
}

func TestEnded(t *testing.T) {
	o := Options{Function: "quote"}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	passed, cancel := context.WithDeadline(context.Background(), time.Now())
	defer cancel()
	for _, tt := range []struct {
		ctx  context.Context
		want countersign.Code
	}{{context.Background(), ""}, {canceled, countersign.CodeCanceled}, {passed, countersign.CodeDeadline}} {
		got := o.Ended(tt.ctx)
		if got == nil && tt.want != "" || got != nil && got.Code != tt.want {
			t.Errorf("got %v, want %q", got, tt.want)
		}
	}
}

func TestLastWord(t *testing.T) {
	for line, want := range map[string]string{"panic: no\n": "panic: no", "fatal error: all asleep\n": "fatal error: all asleep",
		"hello\n": "", " panic: no\n": "", "": ""} {
		if got := LastWord([]byte(line)); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
