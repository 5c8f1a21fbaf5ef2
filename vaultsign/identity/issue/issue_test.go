package issue

import (
	"testing"

	"countersign/vaultsign/identity"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func function(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID("example.test", name)
	must(tb, err)
	return id
}
