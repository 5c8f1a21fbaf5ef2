package wasm

import (
	"errors"
	goruntime "runtime"
	"strings"

	"countersign"
	"countersign/host/runtime/limits"

	"github.com/tetratelabs/wazero/sys"
)

// explain tells from the way in which a guest died what it died of.
func (s *sandbox) explain(err error) *countersign.CallError {
	s.stderr.Flush()
	var fault *guestFault
	var exit *sys.ExitError
	var hostFault goruntime.Error
	switch {
	case s.isHalted():
		return s.ended()
	case errors.As(err, &fault):
		return s.fail(countersign.CodeBroken, "%s", fault.reason)
	case errors.As(err, &hostFault):
		return &countersign.CallError{Code: countersign.CodeInternal, Function: s.owner.options.Function,
			Reason: "a fault of the host", Err: err}
	case s.linear.refused && !strings.HasPrefix(s.lastWord, "panic: "):
		return s.outOfMemory()
	case s.lastWord != "":
		return s.fail(countersign.CodePanicked, "%s", s.lastWord)
	case errors.As(err, &exit):
		return s.owner.options.Exited(int(exit.ExitCode()))
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case strings.Contains(reason, "stack overflow"):
		return s.fail(countersign.CodeOutOfMemory, "its calls are nested too deeply for the call stack of %d bytes that it has of its "+
			"%d bytes of memory: stack overflow", s.owner.stack, s.owner.options.Memory)
	case strings.Contains(reason, "unreachable"):
		return s.fail(countersign.CodePanicked, "%s", limits.Clip(reason))
	}
	return s.fail(countersign.CodeBroken, "%s", limits.Clip(reason))
}

// outOfMemory is the failure of a call whose memory could not grow. If that is only because other calls hold what it needs,
// and it has done nothing yet that others can see, it can be made again: by whoever made it, at another instance.
func (s *sandbox) outOfMemory() *countersign.CallError {
	if s.in == nil || s.acted || !s.linear.crowded {
		return s.owner.options.OutOfMemory()
	}
	s.owner.calls.OutOfMemory() // its sandbox ends all the same
	return s.fail(countersign.CodeOverloaded, "other calls hold what it needs of the %d bytes of memory that its spec gives all of them",
		s.owner.options.Memory)
}

// ended is the failure of a call that was stopped.
func (s *sandbox) ended() *countersign.CallError {
	if s.ctx != nil {
		if failure := s.owner.options.Ended(s.ctx); failure != nil {
			return failure
		}
	}
	return s.owner.options.Stopping()
}

func (s *sandbox) fail(code countersign.Code, format string, args ...any) *countersign.CallError {
	return s.owner.options.Errorf(code, format, args...)
}

// kill is fail for a sandbox that must not be used again.
func (s *sandbox) kill(code countersign.Code, format string, args ...any) *countersign.CallError {
	return s.killed(s.fail(code, format, args...))
}

// killed marks a sandbox that must not be used again, because of a failure.
func (s *sandbox) killed(failure *countersign.CallError) *countersign.CallError {
	s.dead = true
	return failure
}
