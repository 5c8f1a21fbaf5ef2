package host

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"countersign"
	"countersign/hclspec"
	"countersign/interfaces"
)

// faces are three versions of tax: the second adds a field, the third renames one.
var faces = map[string]string{
	"v1": `{"kind":"object","fields":[{"name":"text","type":{"kind":"string"}}]}`,
	"v2": `{"kind":"object","fields":[{"name":"lang","optional":true,"type":{"kind":"string"}},{"name":"text","type":{"kind":"string"}}]}`,
	"v3": `{"kind":"object","fields":[{"name":"message","type":{"kind":"string"}}]}`,
}

// faceOf is the interface document of function at a version, built with versions of other functions.
func faceOf(tb testing.TB, function, version string, built map[string]string) *interfaces.Document {
	tb.Helper()
	calls := ""
	for callee, v := range built {
		calls = fmt.Sprintf(`%q:{"reply":%s,"request":{"kind":"any"}}`, callee, faces[v])
	}
	d, err := interfaces.Parse(fmt.Appendf(nil, `{"calls":{%s},"function":%q,"reply":%s,"request":{"kind":"any"}}`, calls, function, faces[version]))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// runFace is run for a task with an interface. It returns how many calls were executed.
func (ns *nodes) runFace(node int, function, version string, built map[string]string, spec hclspec.Function) (*task, *atomic.Int32) {
	ns.tb.Helper()
	runs := new(atomic.Int32)
	ns.hosts[node].face = faceOf(ns.tb, function, version, built)
	t := ns.run(node, function, spec, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		runs.Add(1)
		return in.Body, nil
	}))
	return t, runs
}

// TestCallsGoWhereTheyAreUnderstood has callers of each version on a host, and callees of each on this and other hosts.
func TestCallsGoWhereTheyAreUnderstood(t *testing.T) {
	for caller := range faces {
		for here, others := range map[string][2]string{"v1": {"v2", "v3"}, "v2": {"v3", "v1"}, "v3": {"v1", "v2"}} {
			t.Run(caller+" calls, "+here+" is near", func(t *testing.T) {
				ns := newNodes(t, 3)
				quote, _ := ns.runFace(0, "quote", "v1", map[string]string{"tax": caller}, hclspec.Function{Calls: []string{"tax"}})
				runs := map[string]*atomic.Int32{}
				for node, version := range []string{here, others[0], others[1]} {
					_, runs[version] = ns.runFace(node, "tax", version, nil, hclspec.Function{})
				}
				ns.publish()
				const calls = 30
				for range calls {
					if _, err := callAs(quote, 0, "tax", `{}`); err != nil {
						t.Fatal(err)
					}
				}
				built := faceOf(t, "quote", "v1", map[string]string{"tax": caller}).Calls["tax"]
				sum := 0
				for version, n := range runs {
					if sum += int(n.Load()); n.Load() > 0 && len(faceOf(t, "tax", version, nil).Serves(built)) > 0 {
						t.Errorf("%d calls were executed by %s", n.Load(), version)
					}
				}
				if sum != calls {
					t.Errorf("%d calls were executed", sum)
				}
			})
		}
	}
}

// TestNothingIsExecutedThatDoesNotFit has only an instance that does not fit, on the caller's host or on another, and callers
// that were built with no interface at all.
func TestNothingIsExecutedThatDoesNotFit(t *testing.T) {
	for node := range 2 {
		for _, built := range []map[string]string{{"tax": "v1"}, {"fx": "v3"}} {
			ns := newNodes(t, 2)
			quote, _ := ns.runFace(0, "quote", "v1", built, hclspec.Function{Calls: []string{"tax"}})
			_, runs := ns.runFace(node, "tax", "v3", nil, hclspec.Function{})
			ns.publish()
			for range 2 {
				if _, err := callAs(quote, 0, "tax", `{}`); countersign.CodeOf(err) != countersign.CodeInterfaceMismatch || runs.Load() > 0 {
					t.Errorf("built with %v, on node %d: %v, executed %d times", built, node, err, runs.Load())
				}
			}
			if built["tax"] == "" {
				continue
			}
			_, fits := ns.runFace(1-node, "tax", "v2", nil, hclspec.Function{})
			ns.publish()
			if _, err := callAs(quote, 0, "tax", `{}`); err != nil || fits.Load() != 1 {
				t.Errorf("on node %d, once one fits: %v, executed %d times", node, err, fits.Load())
			}
		}
	}
}
