package driver

import (
	"reflect"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers/proto"

	"countersign/host/control"
)

func TestBindStorage(t *testing.T) {
	tag := storageTag{Tag: "data", Path: "/data", Access: "read-write", MaxBytes: 5, MaxFiles: 6, Source: "volume"}
	mount := &proto.Mount{TaskPath: "/data", HostPath: "/srv/volume", Readonly: true}
	got, err := bindStorage([]storageTag{tag}, []*proto.Mount{mount})
	want := []control.Storage{{Tag: "data", Path: "/data", MaxBytes: 5, MaxFiles: 6, Source: control.SourceVolume,
		Dir: "/srv/volume", DirReadOnly: true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*storageTag, *proto.Mount){
		"no such mount":        func(_ *storageTag, m *proto.Mount) { m.TaskPath = "/other" },
		"a mount for nothing":  func(s *storageTag, _ *proto.Mount) { s.Source = "allocation" },
		"a directory as well":  func(s *storageTag, _ *proto.Mount) { s.Dir = "/etc" },
		"unknown source":       func(s *storageTag, _ *proto.Mount) { s.Source = "disk" },
		"unknown access":       func(s *storageTag, _ *proto.Mount) { s.Access = "write" },
		"path without one":     func(s *storageTag, m *proto.Mount) { s.Source = "path" },
		"path with a way out":  func(s *storageTag, m *proto.Mount) { s.Source, s.Dir = "path", "/srv/../etc" },
		"path that is no path": func(s *storageTag, m *proto.Mount) { s.Source, s.Dir = "path", "srv" },
	} {
		s, m := tag, &proto.Mount{TaskPath: mount.TaskPath, HostPath: mount.HostPath}
		change(&s, m)
		if got, err := bindStorage([]storageTag{s}, []*proto.Mount{m}); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
