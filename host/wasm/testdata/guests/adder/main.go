// Command adder is a function that adds, and refuses to add nothing.
package main

import (
	"context"
	"errors"

	"countersign.internal/sdk"
)

// Terms are added.
type Terms struct {
	Terms []int64 `json:"terms"`
}

// Sum of terms.
type Sum struct {
	Sum    int64  `json:"sum"`
	Caller string `json:"caller,omitempty"`
}

var add = sdk.Define[Terms, Sum]("adder")

func init() {
	sdk.Handle(add, func(ctx context.Context, t Terms) (Sum, error) {
		if len(t.Terms) == 0 {
			return Sum{}, errors.New("nothing to add")
		}
		s := Sum{Caller: sdk.Caller(ctx)}
		for _, n := range t.Terms {
			s.Sum += n
		}
		return s, nil
	})
}

func main() { sdk.Main() }
