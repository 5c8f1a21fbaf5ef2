// Command faults is a function that misbehaves in the way its request names.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"countersign.internal/sdk"
)

// Request names the fault.
type Request struct {
	Fault string `json:"fault"`
	Size  int    `json:"size"`
}

// Reply of those that come back.
type Reply struct {
	Text  string `json:"text"`
	Count int    `json:"count"` // calls that this instance handled, this one included
}

var (
	faults = sdk.Define[Request, Reply]("faults")
	adder  = sdk.Define[struct{}, struct{}]("adder")
	count  int
	kept   [][]byte
	sink   int
)

func init() { sdk.Handle(faults, handle) }

func handle(ctx context.Context, r Request) (Reply, error) {
	count++
	switch r.Fault {
	case "panic":
		panic("deliberate")
	case "goroutine panic":
		go func() { panic("deliberate, in a goroutine") }()
		time.Sleep(time.Minute)
	case "nil map":
		var m map[string]int
		m["x"]++
	case "loop":
		for {
			sink++
		}
	case "recursion":
		sink = recurse(r.Size)
	case "descend":
		sink = descend(r.Size)
	case "copy loop":
		a, b := make([]byte, 8<<20), make([]byte, 8<<20)
		for {
			copy(a, b)
		}
	case "sleep":
		time.Sleep(time.Duration(r.Size) * time.Millisecond)
	case "wait":
		<-ctx.Done()
		return Reply{}, ctx.Err()
	case "deadlock":
		<-make(chan int)
	case "allocate":
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "keep":
		keep(r.Size)
	case "keep and wait":
		keep(r.Size)
		<-ctx.Done()
	case "call and keep":
		if _, err := adder.Call(ctx, struct{}{}); err != nil {
			return Reply{}, err
		}
		keep(r.Size)
	case "exit":
		os.Exit(r.Size)
	case "print":
		for i := range r.Size {
			fmt.Printf("line %d of the standard output\n", i)
			fmt.Fprintf(os.Stderr, "line %d of the standard error\n", i)
		}
	case "begin a line":
		fmt.Print("begun")
	case "open":
		_, err := os.Open("/etc/passwd")
		return Reply{}, fmt.Errorf("reading users: %w", err)
	case "environment":
		_, open := os.Open("/etc/passwd")
		return Reply{Text: fmt.Sprint(os.Args, os.Environ(), open)}, nil
	case "huge":
		return Reply{Text: strings.Repeat("x", r.Size)}, nil
	}
	return Reply{Text: "done", Count: count}, nil
}

func keep(size int) {
	b := make([]byte, size)
	for i := range b {
		b[i] = 1
	}
	kept = append(kept, b)
}

func recurse(n int) int { return recurse(n+1) + n }

func descend(n int) int {
	if n == 0 {
		return 0
	}
	return descend(n-1) + n
}

func main() { sdk.Main() }
