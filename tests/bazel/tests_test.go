//go:build integration

package bazel

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"countersign/vaultsign/attest"
)

// A deploy runs the tests that cover what a function is made of: not those of another function beside it, and what a test
// prints does not make it pass.
func TestTestsOfWhatChanged(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t)
	shop := compiled("cart", "cp $1 $2", ":cart_lib")
	for _, name := range []string{"cart", "till"} {
		shop["BUILD.bazel"] += fmt.Sprintf("filegroup(name = \"%[1]s_lib\", srcs = [\"%[1]s.txt\"])\n"+
			"sh_test(name = \"%[1]s_test\", srcs = [\"%[1]s_test.sh\"], data = [\":%[1]s_lib\"])\n", name)
		shop[name+".txt"] = name
	}
	shop["BUILD.bazel"] += "own(name = \"till\", cmd = \"cp $1 $2\", deps = [\":till_lib\"], visibility = [\"//visibility:public\"])\n"
	shop["cart_test.sh"] = "#!/bin/sh\nexit 0\n"
	shop["till_test.sh"] = "#!/bin/sh\necho 'PASSED in 0.1s'\nprintf 'till: got 4, want 3\\033[2J\\n'\nexit 1\n"
	d.commit(t, "shop", shop)
	d.pin("shop", map[string]string{"functions": `{"cart": "//:cart", "till": "//:till"}`})
	d.commit(t, "quote", compiled("quote", "cp $1 $2"))
	d.deploys(t, "@shop//:cart", "@shop//:till", "@quote//:quote")
	w := d.open(t)
	builds(t, w, "cart", "quote", "till")

	passed, failed, err := w.Test(t.Context(), []string{"cart", "quote", "till"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]attest.Tests{"cart": attest.TestsPassed, "quote": attest.TestsNone}; !maps.Equal(passed, want) {
		t.Errorf("passed: %v, want %v", passed, want)
	}
	left := reasons(failed)
	if reason := left["till"]; len(left) != 1 || !strings.Contains(reason, "@shop//:till_test fails") ||
		!strings.Contains(reason, "till: got 4, want 3") || strings.Contains(reason, "\033") {
		t.Errorf("failed: %q", left)
	}
}
