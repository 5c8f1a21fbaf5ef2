package sdk

import (
	"context"
	"testing"
	"time"
)

func TestInvocationIsAContext(t *testing.T) {
	in := &invocation{deadline: time.Now().Add(time.Hour)}
	if at, ok := in.Deadline(); !ok || at != in.deadline {
		t.Errorf("deadline %v, %v", at, ok)
	}
	derived, cancel := context.WithTimeout(in, 2*time.Hour)
	defer cancel()
	if invocationOf(derived) != in || in.Err() != nil {
		t.Error("a derived context does not belong to the call, or the call is over")
	}
}

func TestInvocationEndsAtItsDeadline(t *testing.T) {
	in := &invocation{deadline: time.Now().Add(20 * time.Millisecond)}
	derived, cancel := context.WithTimeout(in, time.Hour)
	defer cancel()
	<-derived.Done()
	if in.Err() != context.DeadlineExceeded || derived.Err() != context.DeadlineExceeded {
		t.Errorf("errors %v and %v after the deadline", in.Err(), derived.Err())
	}
}

func TestInvocationEndsOnce(t *testing.T) {
	in := &invocation{}
	done := in.Done()
	in.end(context.Canceled)
	in.end(context.DeadlineExceeded)
	<-done
	<-in.Done()
	if in.Err() != context.Canceled {
		t.Errorf("error %v", in.Err())
	}
	late := &invocation{deadline: time.Now().Add(-time.Second)}
	if late.Err() != context.DeadlineExceeded {
		t.Error("a deadline that has passed is no error")
	}
	<-late.Done()
}
