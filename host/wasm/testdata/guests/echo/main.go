// Command echo is a function that returns its request.
package main

import (
	"context"

	"countersign.internal/sdk"
)

// Message is request and reply.
type Message struct {
	Text string `json:"text"`
}

var echo = sdk.Define[Message, Message]("echo")

func init() {
	sdk.Handle(echo, func(_ context.Context, m Message) (Message, error) { return m, nil })
}

func main() { sdk.Main() }
