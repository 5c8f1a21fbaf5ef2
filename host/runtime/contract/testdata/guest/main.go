// Command guest is a function that does what its request says. The same source is built for every runtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"countersign.internal/sdk"
)

// Request says what to do.
type Request struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	Size int    `json:"size"`
}

// Reply of what comes back.
type Reply struct {
	Text    string   `json:"text"`
	Caller  string   `json:"caller"`
	Code    sdk.Code `json:"code,omitempty"` // of the call that it made
	Message string   `json:"message,omitempty"`
}

var (
	guest = sdk.Define[Request, Reply]("guest")
	other = sdk.Define[string, string]("other")
	kept  [][]byte
	sink  int
)

func init() { sdk.Handle(guest, handle) }

func main() { sdk.Main() }

func handle(ctx context.Context, r Request) (Reply, error) {
	switch r.Do {
	case "fail":
		return Reply{}, errors.New(r.Text)
	case "panic":
		panic(r.Text)
	case "panic in a goroutine":
		go func() { panic(r.Text) }()
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(r.Size)
	case "wait":
		<-ctx.Done()
		return Reply{}, ctx.Err()
	case "sleep":
		time.Sleep(time.Minute)
	case "loop":
		loop()
	case "call and loop":
		if _, err := other.Call(ctx, r.Text); err != nil {
			return Reply{}, err
		}
		loop()
	case "allocate":
		allocate()
	case "print":
		for n := range r.Size {
			fmt.Printf("line %d of the standard output\n", n)
			fmt.Fprintf(os.Stderr, "line %d of the standard error\n", n)
		}
	case "repeat":
		return Reply{Text: strings.Repeat("x", r.Size), Caller: sdk.Caller(ctx)}, nil
	case "call":
		return call(ctx, r.Text), nil
	}
	return Reply{Text: r.Text, Caller: sdk.Caller(ctx)}, nil
}

func loop() {
	for {
		sink++
	}
}

func allocate() {
	for {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		kept = append(kept, b)
	}
}

func call(ctx context.Context, request string) Reply {
	text, err := other.Call(ctx, request)
	var failure *sdk.Error
	if errors.As(err, &failure) {
		return Reply{Code: failure.Code, Message: failure.Message}
	}
	return Reply{Text: text}
}
