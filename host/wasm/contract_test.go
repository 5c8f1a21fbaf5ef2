package wasm

import (
	"context"
	"testing"

	"countersign/host/runtime"
	"countersign/host/runtime/contract"
)

func TestContract(t *testing.T) {
	contract.Test(t, func(tb testing.TB, o runtime.Options) runtime.Instance {
		i, err := engine.Load(context.Background(), contractGuest, Options{Options: o})
		if err != nil {
			tb.Fatal(err)
		}
		return i
	})
}
