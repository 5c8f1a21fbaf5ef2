package interfaces

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestComparingIsBounded has a caller with many objects, each of which meets one recursive type of the callee with many
// fields. A comparison runs on the host of a callee, for any caller that may call it.
func TestComparingIsBounded(t *testing.T) {
	for _, side := range []string{"request", "reply"} {
		for _, more := range []int{100, 5000} {
			var callee, caller strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&callee, `{"name":"a%05d","optional":true,"type":{"kind":"ref","up":1}},`, i)
				fmt.Fprintf(&caller, `{"name":"a%05d","optional":true,"type":{"kind":"object"}},`, i)
			}
			for i := range more {
				fmt.Fprintf(&callee, `{"name":"z%05d","optional":true,"type":{"kind":"any"}},`, i)
			}
			of := func(fields string) *Interface {
				t.Helper()
				request, reply := `{"kind":"any"}`, `{"kind":"object","fields":[`+strings.TrimSuffix(fields, ",")+`]}`
				if side == "request" {
					request, reply = reply, request
				}
				i, err := ParseInterface([]byte(`{"function":"f","reply":` + reply + `,"request":` + request + `}`))
				if err != nil {
					t.Fatal(err)
				}
				return i
			}
			has, built := of(callee.String()), of(caller.String())
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			if d := has.Serves(built); len(d) == 0 || len(d) > 2*maxDifferences {
				t.Errorf("%s: %d differences", side, len(d))
			}
			runtime.ReadMemStats(&after)
			if took, made := time.Since(began), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || made > 100<<20 {
				t.Errorf("%s with %d fields more: %v and %d MiB", side, more, took, made>>20)
			}
		}
	}
}
