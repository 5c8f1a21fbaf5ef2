// Command function is the smallest function that runs natively: it says back what it was told.
package main

import (
	"context"

	"countersign.internal/sdk"
)

type message struct {
	Text string `json:"text"`
}

var echo = sdk.Define[message, message]("native")

func init() {
	sdk.Handle(echo, func(_ context.Context, m message) (message, error) { return m, nil })
}

func main() { sdk.Main() }
