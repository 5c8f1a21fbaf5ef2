package host

import (
	"errors"
	"strings"
	"testing"

	"countersign/hclspec"
	"countersign/host/control"
)

// attestedTags is a start of a function with tags, as its artifact was attested.
func attestedTags() *start {
	return &start{spec: &hclspec.Function{
		Name: "quote", Runtime: hclspec.RuntimeWasm,
		Storage: []hclspec.Storage{
			{Tag: "receipts", Path: "/receipts", Access: hclspec.AccessReadWrite, MaxBytes: 1 << 20, MaxFiles: 10},
			{Tag: "rules", Path: "/rules", Access: hclspec.AccessReadOnly, MaxFiles: 10},
		},
	}, request: control.StartRequest{Storage: []control.Storage{
		{Tag: "receipts", Path: "/receipts", MaxBytes: 1 << 20, MaxFiles: 10, Source: control.SourceAllocation},
		{Tag: "rules", Path: "/rules", ReadOnly: true, MaxFiles: 10, Source: control.SourceAllocation},
	}}}
}

// TestTagsAreThoseThatWereSigned has jobs that bind more, less or something else than the spec that was attested.
func TestTagsAreThoseThatWereSigned(t *testing.T) {
	for name, change := range map[string]func(*control.StartRequest){
		"one less": func(r *control.StartRequest) { r.Storage = r.Storage[:1] },
		"none":     func(r *control.StartRequest) { r.Storage = nil },
		"one more": func(r *control.StartRequest) {
			r.Storage = append(r.Storage, control.Storage{Tag: "keys", Path: "/keys"})
		},
		"one twice":    func(r *control.StartRequest) { r.Storage[1] = r.Storage[0] },
		"another path": func(r *control.StartRequest) { r.Storage[0].Path = "/rules/all" },
		"writable":     func(r *control.StartRequest) { r.Storage[1].ReadOnly = false },
		"read-only":    func(r *control.StartRequest) { r.Storage[0].ReadOnly = true },
		"more bytes":   func(r *control.StartRequest) { r.Storage[0].MaxBytes++ },
		"no bound":     func(r *control.StartRequest) { r.Storage[0].MaxBytes = 0 },
		"more files":   func(r *control.StartRequest) { r.Storage[0].MaxFiles++ },
		"a network":    func(r *control.StartRequest) { r.Network = []control.Network{{Tag: "rates", Protocol: "tcp"}} },
		"kinds exchanged": func(r *control.StartRequest) {
			r.Storage = r.Storage[:1]
			r.Network = []control.Network{{Tag: "rules"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := attestedTags()
			change(&s.request)
			var refused *tagError
			if err := s.checkTags(); !errors.As(err, &refused) {
				t.Errorf("%v; want a refusal", err)
			}
		})
	}
}

// TestNetworkTagsAreThoseThatWereSigned is the same for network tags.
func TestNetworkTagsAreThoseThatWereSigned(t *testing.T) {
	for name, change := range map[string]func(*control.Network){
		"another tag":      func(n *control.Network) { n.Tag = "others" },
		"another protocol": func(n *control.Network) { n.Protocol = "udp" },
		"listens":          func(n *control.Network) { n.Listen = true },
	} {
		s := &start{spec: &hclspec.Function{Name: "quote", Network: []hclspec.Network{{Tag: "rates", Protocol: "tcp"}}},
			request: control.StartRequest{Network: []control.Network{{Tag: "rates", Protocol: "tcp", Addresses: []string{"127.0.0.1:1"}}}}}
		change(&s.request.Network[0])
		var refused *tagError
		if err := s.checkTags(); !errors.As(err, &refused) {
			t.Errorf("%s: %v; want a refusal", name, err)
		}
	}
}

func TestTagsThatCanNotBeEnforced(t *testing.T) {
	s := attestedTags()
	s.request.Storage[0].DirReadOnly = true
	if err := s.checkTags(); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a volume that is mounted read-only for a read-write tag: %v", err)
	}
	native := attestedTags()
	native.spec.Runtime = hclspec.RuntimeNative
	if err := native.checkTags(); err != nil {
		t.Errorf("storage tags of a native function: %v", err)
	}
	defer func(before func() error) { nativeStorage = before }(nativeStorage)
	nativeStorage = func() error { return errors.New("the kernel is too old") }
	if err := native.checkTags(); err == nil || !strings.Contains(err.Error(), "the kernel is too old") {
		t.Errorf("storage tags of a native function where nothing can count what it stores: %v", err)
	}
	if err := attestedTags().checkTags(); err != nil {
		t.Errorf("tags as they were attested: %v", err)
	}
	network := &start{spec: &hclspec.Function{Name: "quote", Network: []hclspec.Network{{Tag: "rates", Protocol: "tcp"}}},
		request: control.StartRequest{Network: []control.Network{{Tag: "rates", Protocol: "tcp"}}}}
	if err := network.checkTags(); err != nil {
		t.Errorf("a network tag: %v", err)
	}
	network.spec.Runtime = hclspec.RuntimeNative
	if err := network.checkTags(); err == nil || !strings.Contains(err.Error(), "native") {
		t.Errorf("a network tag of a native function: %v", err)
	}
}
