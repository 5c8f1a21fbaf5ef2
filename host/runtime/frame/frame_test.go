package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign"
)

// TestExample is the example of docs/wasm-abi.md, section 4.6.
func TestExample(t *testing.T) {
	in := &countersign.Invocation{ID: "7", Caller: "spiffe://countersign.local/client/me", Function: "echo",
		Body: []byte("{}")}
	want := strings.Join([]string{"0101000000000000", "0000000000000000", "00000000", "0100000037",
		"240000007370696666653a2f2f636f756e7465727369676e", "2e6c6f63616c2f636c69656e742f6d65",
		"040000006563686f", "00000000", "020000007b7d"}, "")
	frame := AppendInvocation(nil, 0, in, time.Time{})
	if got := hex.EncodeToString(frame); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if InvocationSize(in) != len(frame) {
		t.Errorf("the size of %d bytes is given as %d", len(frame), InvocationSize(in))
	}
	reply := AppendReply(nil, 0, Reply{Body: []byte("{}")})
	if got := hex.EncodeToString(reply); got != "0102000000000000"+"00000000"+"00000000"+"020000007b7d" {
		t.Errorf("reply %s", got)
	}
	if len(reply) != 2+Overhead {
		t.Errorf("a reply is %d bytes longer than its body, want %d", len(reply)-2, Overhead)
	}
}

func TestReplyRoundTrip(t *testing.T) {
	for _, want := range []Reply{{}, {Body: []byte("x")}, {Code: "failed", Message: "no"}} {
		header, rest, err := ParseHeader(AppendReply(nil, 9, want))
		if err != nil || header != (Header{KindReply, 9}) {
			t.Fatalf("header %+v, %v", header, err)
		}
		got, err := ParseReply(rest)
		if err != nil || got.Code != want.Code || got.Message != want.Message || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	good := AppendReply(nil, 0, Reply{Code: "failed", Message: "no", Body: []byte("x")})
	for cut := range len(good) {
		if parse(good[:cut]) == nil {
			t.Errorf("a reply of %d bytes was accepted after %d", len(good), cut)
		}
	}
	bad := map[string][]byte{}
	for _, name := range []string{"long", "version", "reserved"} {
		bad[name] = bytes.Clone(good)
	}
	bad["long"] = append(bad["long"], 0)
	bad["version"][0], bad["reserved"][3] = 2, 1
	for name, frame := range bad {
		if err := parse(frame); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseCall([]byte{1, 2, 3}); !errors.Is(err, ErrMalformed) {
		t.Errorf("call: %v", err)
	}
}

func parse(frame []byte) error {
	_, rest, err := ParseHeader(frame)
	if err == nil {
		_, err = ParseReply(rest)
	}
	return err
}

// FuzzParse feeds the parsers with anything; they must not panic, nor yield more than they were given.
func FuzzParse(f *testing.F) {
	f.Add(AppendReply(nil, 1, Reply{Code: "failed", Message: "no"}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		_, rest, err := ParseHeader(frame)
		if err != nil {
			return
		}
		if r, err := ParseReply(rest); err == nil && len(r.Body)+len(r.Code)+len(r.Message) > len(frame) {
			t.Errorf("%+v comes from %d bytes", r, len(frame))
		}
		if c, err := ParseCall(rest); err == nil && len(c.Body)+len(c.Callee) > len(frame) {
			t.Errorf("%+v comes from %d bytes", c, len(frame))
		}
	})
}
