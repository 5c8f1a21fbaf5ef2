package wasm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"countersign"

	"github.com/tetratelabs/wazero/sys"
)

// expired tells whether ctx is done, or about to be: the guest may notice the deadline just before the host's timer.
func expired(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(at)
}

// explain tells from the way in which a guest died what it died of.
func (g *guest) explain(err error) *countersign.CallError {
	g.stderr.Flush()
	var fault *guestFault
	var exit *sys.ExitError
	var hostFault runtime.Error
	switch {
	case g.isHalted():
		return g.ended(g.ctx)
	case errors.As(err, &fault):
		return g.fail(countersign.CodeBroken, "%s", fault.reason)
	case errors.As(err, &hostFault):
		return &countersign.CallError{Code: countersign.CodeInternal, Function: g.owner.options.Function,
			Reason: "a fault of the host", Err: err}
	case g.linear.refused && !strings.HasPrefix(g.lastWord, "panic: "):
		return g.fail(countersign.CodeOutOfMemory, "it needs more than the %d bytes of memory that its spec gives it",
			g.owner.budget.limit)
	case g.lastWord != "":
		return g.fail(countersign.CodePanicked, "%s", g.lastWord)
	case errors.As(err, &exit):
		return g.fail(countersign.CodeExited, "it ended itself with status %d", exit.ExitCode())
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case strings.Contains(reason, "unreachable"), strings.Contains(reason, "stack overflow"):
		return g.fail(countersign.CodePanicked, "%s", clip(reason))
	}
	return g.fail(countersign.CodeBroken, "%s", clip(reason))
}

// ended is the error of a call that was stopped.
func (g *guest) ended(ctx context.Context) *countersign.CallError {
	switch {
	case ctx != nil && errors.Is(ctx.Err(), context.Canceled):
		return g.fail(countersign.CodeCanceled, "the caller went away, and the call was stopped")
	case ctx != nil && expired(ctx):
		return g.fail(countersign.CodeDeadline, "the deadline passed, and the call was stopped")
	}
	return g.fail(countersign.CodeUnavailable, "%w", errClosed)
}

func (g *guest) fail(code countersign.Code, format string, args ...any) *countersign.CallError {
	return countersign.Errorf(code, g.owner.options.Function, format, args...)
}

// kill is fail for a guest that must not run again.
func (g *guest) kill(code countersign.Code, format string, args ...any) *countersign.CallError {
	g.dead = true
	return g.fail(code, format, args...)
}

// clip bounds what a guest can put into an error, and makes it valid text.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), messageLimit)], "\uFFFD")
}
