package nomad

import (
	"reflect"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// TestBindings reads tags as Nomad has them: of the task that runs the function alone, one block or several.
func TestBindings(t *testing.T) {
	volume, at := "data", "/data"
	job := &api.Job{TaskGroups: []*api.TaskGroup{{
		Volumes: map[string]*api.VolumeRequest{"data": {Source: "shop", Type: "csi"}},
		Tasks: []*api.Task{
			{Driver: "docker", Config: map[string]any{"storage": map[string]any{"tag": "other"}}},
			{Driver: "countersign", VolumeMounts: []*api.VolumeMount{{Volume: &volume, Destination: &at}}, Config: map[string]any{
				"storage": []any{map[string]any{"tag": "data", "path": "/data", "source": "volume"},
					map[string]any{"tag": "rules", "path": "/rules", "source": "path", "dir": "/srv"},
					map[string]any{"tag": "lost", "path": "/lost", "source": "volume"}},
				"network": map[string]any{"tag": "rates", "address": "a:1"}}},
		},
	}}}
	want := []Binding{{Tag: "data", Kind: "storage", Source: "volume", Target: "shop", CSI: true}, {Tag: "rules", Kind: "storage", Source: "path",
		Target: "/srv"}, {Tag: "lost", Kind: "storage", Source: "volume"}, {Tag: "rates", Kind: "network", Target: "a:1"}}
	if got := bindings(job); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
