package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"countersign/host/runtime"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// Describe returns the interface document of an executable, which it runs in a sandbox for at most limits.DescribeTime.
// shim is as in Options.
func Describe(ctx context.Context, executable []byte, shim string) ([]byte, error) {
	i, err := Start(executable, Options{Shim: shim,
		Options: runtime.Options{Function: "function", Limits: limits.Limits{Memory: limits.DescribeMemory}}})
	if err != nil {
		return nil, err
	}
	doc, err := i.describe(ctx)
	done, cancel := context.WithCancel(context.Background())
	cancel() // nothing is under way that would be worth waiting for
	return doc, errors.Join(err, i.Close(done))
}

func (i *Instance) describe(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.DescribeTime)
	defer cancel()
	q := &question{ctx: ctx, charge: take(i.held, 0)}
	if q.charge == nil {
		return nil, i.full()
	}
	defer q.charge.end()
	_, _, failure := i.ask(ctx, q, func(stream uint32) message { return signalMessage(stream, frame.KindDescribe) })
	if failure != nil {
		return nil, failure
	}
	select {
	case got, ok := <-q.answer:
		reply := got.reply
		switch {
		case !ok:
			return nil, &ExecutableError{"it ended when it was asked to describe itself"}
		case got.failure != nil:
			return nil, got.failure
		case reply.Code != "":
			return nil, &ExecutableError{fmt.Sprintf("it can't describe itself (%s): %s", limits.Clip(reply.Code),
				limits.Clip(reply.Message))}
		case !json.Valid(reply.Body):
			return nil, &ExecutableError{"it describes itself with something that is not JSON"}
		}
		return reply.Body, nil
	case <-ctx.Done():
		return nil, &ExecutableError{"it did not describe itself in time: does it use the SDK?"}
	}
}
