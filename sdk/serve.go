package sdk

import (
	"context"
	"fmt"
	"time"
)

// parseInvocation reads an invocation after its header. The body is a part of the frame.
func parseInvocation(r *reader, stream uint32) (*invocation, []byte, error) {
	in := &invocation{stream: stream}
	if deadline := int64(r.uint64()); deadline != 0 {
		in.deadline = time.Unix(0, deadline)
	}
	in.hops = r.uint32()
	in.id, in.caller = r.string(), r.string()
	r.bytes() // the function's own name
	in.traceparent = r.string()
	body := r.bytes()
	return in, body, r.end()
}

// answer runs the handler for one invocation and appends its reply frame to dst.
func answer(name string, h handler, in *invocation, body, dst []byte) []byte {
	defer in.end(context.Canceled)
	start := len(dst)
	out, failure := run(in, name, h, body, startReply(dst, in.stream))
	if failure != nil {
		return appendFailure(dst, in.stream, failure)
	}
	finishReply(out, start)
	return out
}

// appendDescription appends the reply frame to a describe frame.
func appendDescription(dst []byte, stream uint32) []byte {
	doc, err := describeProgram()
	if err != nil {
		return appendFailure(dst, stream, &Error{Code: CodeBroken, Message: fmt.Sprintf("describing: %v", err)})
	}
	start := len(dst)
	dst = append(startReply(dst, stream), doc...)
	finishReply(dst, start)
	return dst
}
