// Command caller is a function that calls what its request says, and reports how that went.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"countersign.internal/sdk"
)

// Request tells whom to call.
type Request struct {
	Callee  string          `json:"callee"`
	Request json.RawMessage `json:"request"`
	Timeout time.Duration   `json:"timeout"`
	Twice   bool            `json:"twice"` // at the same time, from two goroutines
	Late    bool            `json:"late"`  // with the context of the call before
}

// Reply tells how it went.
type Reply struct {
	Replies []json.RawMessage `json:"replies,omitempty"`
	Code    sdk.Code          `json:"code,omitempty"`
	Message string            `json:"message,omitempty"`
}

var (
	self    = sdk.Define[Request, Reply]("caller")
	callees = map[string]*sdk.Function[json.RawMessage, json.RawMessage]{
		"adder":  sdk.Define[json.RawMessage, json.RawMessage]("adder"),
		"faults": sdk.Define[json.RawMessage, json.RawMessage]("faults"),
	}
	before context.Context
)

func init() { sdk.Handle(self, handle) }

func handle(ctx context.Context, r Request) (Reply, error) {
	defer func() { before = ctx }()
	if r.Late {
		ctx = before
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	type result struct {
		reply json.RawMessage
		err   error
	}
	calls := 1
	if r.Twice {
		calls = 2
	}
	results := make(chan result, calls)
	for range calls {
		go func() {
			reply, err := callees[r.Callee].Call(ctx, r.Request)
			results <- result{reply, err}
		}()
	}
	var out Reply
	for range calls {
		got := <-results
		var failure *sdk.Error
		if errors.As(got.err, &failure) {
			return Reply{Code: failure.Code, Message: failure.Message}, nil
		}
		out.Replies = append(out.Replies, got.reply)
	}
	return out, nil
}

func main() { sdk.Main() }
