// Command chaos is a function that misbehaves on request, for the end-to-end tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"countersign.internal/sdk"
)

// Request says how to misbehave.
type Request struct {
	Do string `json:"do"`
}

// Reply is what a call answers that was asked to behave.
type Reply struct {
	Echo   string `json:"echo"`
	Caller string `json:"caller"`
}

var chaos = sdk.Define[Request, Reply]("chaos")

var sink [][]byte

func init() { sdk.Handle(chaos, handle) }

func main() { sdk.Main() }

func handle(ctx context.Context, req Request) (Reply, error) {
	if words := strings.Fields(req.Do); len(words) == 3 && words[0] == "store" {
		return Reply{}, os.WriteFile(words[1], []byte(words[2]), 0o600)
	} else if len(words) == 2 && words[0] == "load" {
		b, err := os.ReadFile(words[1])
		return Reply{Echo: string(b)}, err
	} else if len(words) == 2 && words[0] == "fill" {
		return Reply{}, os.WriteFile(words[1], make([]byte, 256<<10), 0o600)
	}
	switch req.Do {
	case "panic":
		panic("asked to panic")
	case "goroutine-panic":
		done := make(chan bool)
		go func() { panic("asked to panic in a goroutine") }()
		<-done
	case "loop":
		for i := 0; ; i++ {
			if i < 0 {
				break
			}
		}
	case "allocate":
		for {
			sink = append(sink, make([]byte, 1<<20))
		}
	case "exit":
		os.Exit(3)
	case "fail":
		return Reply{}, errors.New("asked to fail")
	case "huge":
		return Reply{Echo: strings.Repeat("x", 1<<20)}, nil
	case "print":
		fmt.Println("chaos prints to standard output")
		fmt.Fprintln(os.Stderr, "chaos prints to standard error")
	case "environment":
		entries, err := os.ReadDir("/")
		return Reply{Echo: fmt.Sprintf("env %q, root %v, err %v", os.Environ(), entries, err != nil)}, nil
	}
	return Reply{Echo: req.Do, Caller: sdk.Caller(ctx)}, nil
}
