package pipeline

import (
	"reflect"
	"testing"

	"countersign/hclspec"
	"countersign/pipeline/nomad"
)

// TestReachIsWhatIsAttested: bounds come from the spec, and from the job only what tags are bound to. What one has and the
// other lacks is told.
func TestReachIsWhatIsAttested(t *testing.T) {
	spec := &hclspec.Function{Name: "quote",
		Storage: []hclspec.Storage{{Tag: "data", Path: "/data", Access: hclspec.AccessReadWrite, MaxBytes: 10, MaxFiles: 5},
			{Tag: "rules", Path: "/rules", Access: hclspec.AccessReadOnly, MaxFiles: 7}},
		Network: []hclspec.Network{{Tag: "rates", Protocol: "tcp"}}}
	var r Reach
	r.declare(spec, []nomad.Binding{{Kind: "network", Tag: "rates", Target: "rates.example:443"}, {Kind: "storage", Tag: "keys",
		Source: "path", Target: "/etc"}, {Kind: "storage", Tag: "data", Source: "volume", Target: "shop", CSI: true},
		{Kind: "network", Tag: "rules", Target: "x:1"}})
	want := Reach{
		Storage: []StorageReach{{"data", "/data", "read-write", 10, 5, "csi_volume", "shop"}, {"rules", "/rules", "read-only", 0, 7, "", ""}},
		Network: []NetworkReach{{"rates", "tcp", false, "rates.example:443"}},
		Unbound: []string{"storage rules"}, Extra: []string{"storage keys", "network rules"},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
}

func TestSharedStorageIsTold(t *testing.T) {
	of := func(function, access, source, target string) Reach {
		return Reach{Function: function, Storage: []StorageReach{{Access: access, Source: source, Target: target}}}
	}
	got := SameTarget([]Reach{
		of("a", "read-write", "volume", "shop"), of("b", "read-only", "volume", "shop"), of("a", "read-write", "volume", "shop"),
		of("c", "read-only", "path", "/rules"), of("d", "read-only", "path", "/rules"), // nobody writes
		of("e", "read-write", "allocation_local", ""), of("f", "read-write", "allocation_local", ""), // each has its own
		of("g", "read-write", "path", "shop"), // another kind
	})
	if want := map[string][]string{"volume shop": {"a", "b"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
