// Command relay calls echo as often as it is told, for the benchmarks: what one call costs is the difference.
package main

import (
	"context"

	"countersign.internal/sdk"
)

// Message is request and reply of echo.
type Message struct {
	Text string `json:"text"`
}

// Request says how often to call echo with what.
type Request struct {
	Times int    `json:"times"`
	Text  string `json:"text"`
}

var (
	relay = sdk.Define[Request, Message]("relay")
	echo  = sdk.Define[Message, Message]("echo")
)

func init() {
	sdk.Handle(relay, func(ctx context.Context, r Request) (Message, error) {
		m := Message{Text: r.Text}
		for range r.Times {
			var err error
			if m, err = echo.Call(ctx, m); err != nil {
				return m, err
			}
		}
		return m, nil
	})
}

func main() { sdk.Main() }
