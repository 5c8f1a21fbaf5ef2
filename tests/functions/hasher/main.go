// Command hasher is a native function, for the end-to-end tests: it hashes, and tries to leave its sandbox.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"time"

	"countersign.internal/sdk"
)

// Request is what to hash, and how often.
type Request struct {
	Text   string `json:"text"`
	Rounds int    `json:"rounds"`
	Do     string `json:"do"`
}

// Reply is the hash.
type Reply struct {
	Hash string `json:"hash"`
	Seen string `json:"seen,omitempty"`
}

var hasher = sdk.Define[Request, Reply]("hasher")

func init() { sdk.Handle(hasher, hash) }

func main() { sdk.Main() }

func hash(_ context.Context, r Request) (Reply, error) {
	switch r.Do {
	case "panic":
		panic("asked to panic")
	case "loop":
		//lint:ignore SA5002 spinning is what is asked for
		for {
		}
	case "escape":
		_, fileErr := os.ReadFile("/etc/passwd")
		_, dirErr := os.ReadDir("/proc")
		_, dialErr := net.DialTimeout("tcp", "127.0.0.1:80", time.Second)
		return Reply{Seen: fmt.Sprintf("file %t, directory %t, network %t, environment %q", fileErr == nil, dirErr == nil,
			dialErr == nil, os.Environ())}, nil
	}
	sum := sha256.Sum256([]byte(r.Text))
	for range r.Rounds {
		sum = sha256.Sum256(sum[:])
	}
	return Reply{Hash: hex.EncodeToString(sum[:])}, nil
}
