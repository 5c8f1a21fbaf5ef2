package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"countersign.internal/sdk"
	"countersign.internal/sdk/sdktest"
)

type request struct {
	Region string `json:"region"`
}

type rate struct {
	Percent float64 `json:"percent"`
	Caller  string  `json:"caller,omitempty"`
}

var (
	tax     = sdk.Define[request, rate]("tax")
	fx      = sdk.Define[request, rate]("fx")
	missing = sdk.Define[request, rate]("missing")
)

func init() {
	sdk.Handle(tax, func(ctx context.Context, r request) (rate, error) {
		switch r.Region {
		case "nowhere":
			return rate{}, errors.New("no such region")
		case "panic":
			panic("deliberate")
		}
		return rate{Percent: 19, Caller: sdk.Caller(ctx)}, nil
	})
}

func TestCallWithoutPlatform(t *testing.T) {
	sdktest.Stub(t, fx, func(_ context.Context, r request) (rate, error) {
		switch r.Region {
		case "busy":
			return rate{}, &sdk.Error{Code: sdk.CodeOverloaded, Function: "fx", Message: "try later"}
		case "odd":
			return rate{}, errors.New("odd")
		}
		return rate{Percent: 1.5}, nil
	})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		call   *sdk.Function[request, rate]
		region string
		want   float64
		code   sdk.Code
	}{
		{"handler", t.Context(), tax, "EU", 19, ""},
		{"handler fails", t.Context(), tax, "nowhere", 0, sdk.CodeFailed},
		{"handler panics", t.Context(), tax, "panic", 0, sdk.CodePanicked},
		{"stub", t.Context(), fx, "EU", 1.5, ""},
		{"stub fails with a code", t.Context(), fx, "busy", 0, sdk.CodeOverloaded},
		{"stub fails", t.Context(), fx, "odd", 0, sdk.CodeFailed},
		{"neither", t.Context(), missing, "EU", 0, sdk.CodeUnavailable},
		{"canceled", canceled, tax, "EU", 0, sdk.CodeCanceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.call.Call(tt.ctx, request{tt.region})
			if tt.code == "" && (err != nil || got.Percent != tt.want) {
				t.Errorf("got %v, %v", got, err)
			}
			if tt.code != "" && !errors.Is(err, &sdk.Error{Code: tt.code, Function: tt.call.Name()}) {
				t.Errorf("got error %v, want code %s", err, tt.code)
			}
		})
	}
}

func TestStubEndsWithItsTest(t *testing.T) {
	t.Run("stubbed", func(t *testing.T) {
		sdktest.Stub(t, missing, func(context.Context, request) (rate, error) { return rate{Percent: 7}, nil })
		if got, err := missing.Call(t.Context(), request{}); err != nil || got.Percent != 7 {
			t.Errorf("got %v, %v", got, err)
		}
	})
	if _, err := missing.Call(t.Context(), request{}); err == nil || !strings.Contains(err.Error(), "sdktest.Stub") {
		t.Errorf("got %v, which does not say how to set a stub", err)
	}
}

func TestCaller(t *testing.T) {
	const id = "spiffe://countersign.local/function/quote"
	got, err := tax.Call(sdktest.WithCaller(t.Context(), id), request{"EU"})
	if err != nil || got.Caller != id {
		t.Errorf("got %+v, %v", got, err)
	}
	if id := sdk.Caller(t.Context()); id != "" {
		t.Errorf("a context outside of a call has the caller %q", id)
	}
}

func TestErrorMatching(t *testing.T) {
	err := error(&sdk.Error{Code: sdk.CodeDeadline, Function: "tax", Message: "late"})
	matches := map[error]bool{
		context.DeadlineExceeded: true, context.Canceled: false,
		&sdk.Error{Code: sdk.CodeDeadline}:                  true,
		&sdk.Error{Function: "tax"}:                         true,
		&sdk.Error{Code: sdk.CodeDeadline, Function: "fx"}:  false,
		&sdk.Error{Code: sdk.CodeFailed}:                    false,
		&sdk.Error{Code: sdk.CodeDeadline, Message: "late"}: true,
	}
	for target, want := range matches {
		if got := errors.Is(err, target); got != want {
			t.Errorf("errors.Is(%v, %v) is %v", err, target, got)
		}
	}
}

// TestNames holds Define against the cases that the platform's own rule is held against.
func TestNames(t *testing.T) {
	raw, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Valid, Invalid []string }
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases.Valid) == 0 || len(cases.Invalid) == 0 {
		t.Fatalf("the cases can't be used: %v", err)
	}
	accepts := func(name string) (ok bool) {
		defer func() { ok = recover() == nil }()
		sdk.Define[request, rate](name)
		return
	}
	for _, name := range cases.Valid {
		if !accepts(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range cases.Invalid {
		if accepts(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestMistakesOfTheProgramPanic(t *testing.T) {
	tests := map[string]func(){
		"empty name":       func() { sdk.Define[request, rate]("") },
		"upper case":       func() { sdk.Define[request, rate]("Tax") },
		"digit first":      func() { sdk.Define[request, rate]("1tax") },
		"dash last":        func() { sdk.Define[request, rate]("tax-") },
		"long name":        func() { sdk.Define[request, rate](strings.Repeat("a", 64)) },
		"other types":      func() { sdk.Define[request, int]("tax") },
		"second handler":   func() { sdk.Handle(tax, func(context.Context, request) (r rate, err error) { return }) },
		"channel in reply": func() { sdk.Define[request, chan int]("channel") },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	sdk.Define[request, rate](strings.Repeat("a", 63))
	sdk.Define[request, rate]("tax") // the same again: two packages may name one function
}
