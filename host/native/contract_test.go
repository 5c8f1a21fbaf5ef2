package native

import (
	"testing"

	"countersign/host/runtime"
	"countersign/host/runtime/contract"
)

func TestContract(t *testing.T) {
	contract.Test(t, func(tb testing.TB, o runtime.Options) runtime.Instance {
		i, err := Start(contractGuest, Options{Options: o, Shim: shim})
		if err != nil {
			tb.Fatal(err)
		}
		return i
	})
}

func startFiles(tb testing.TB, o runtime.Options) runtime.Instance {
	i, err := Start(filesGuest, Options{Options: o, Shim: shim})
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func TestStorage(t *testing.T) { contract.TestStorage(t, startFiles) }

func BenchmarkWrite4KiB(b *testing.B) { contract.BenchmarkWrite4KiB(b, startFiles) }
