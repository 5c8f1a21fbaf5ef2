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

func startFiles(tb testing.TB, o runtime.Options) runtime.Instance {
	i, err := engine.Load(context.Background(), filesGuest, Options{Options: o})
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func TestStorage(t *testing.T) { contract.TestStorage(t, startFiles) }

func BenchmarkWrite4KiB(b *testing.B) { contract.BenchmarkWrite4KiB(b, startFiles) }
