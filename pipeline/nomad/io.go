package nomad

import (
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// Binding is what a job binds an I/O tag to.
type Binding struct {
	Tag    string
	Kind   string // storage or network, as in the task's config block
	Source string // path, volume or allocation; of storage
	Target string // what it is bound to, such as a directory, a volume's name or an address; "" for a directory of the allocation
	CSI    bool   // the volume is that of a CSI plugin
}

// bindings reads the tags of the task that runs a function, as they stand in the job: nobody attests them.
func bindings(j *api.Job) (list []Binding) {
	for _, group := range j.TaskGroups {
		for _, task := range group.Tasks {
			if task.Driver != "countersign" {
				continue
			}
			for _, block := range blocks(task.Config["storage"]) {
				b := Binding{Kind: "storage", Tag: text(block["tag"]), Source: text(block["source"]), Target: text(block["dir"])}
				if b.Source == "volume" {
					b.Target, b.CSI = volumeAt(group, task, text(block["path"]))
				}
				list = append(list, b)
			}
			for _, block := range blocks(task.Config["network"]) {
				list = append(list, Binding{Kind: "network", Tag: text(block["tag"]), Target: text(block["address"])})
			}
		}
	}
	return list
}

// volumeAt tells which volume a task mounts at a path.
func volumeAt(group *api.TaskGroup, task *api.Task, path string) (name string, csi bool) {
	for _, m := range task.VolumeMounts {
		if m.Destination == nil || *m.Destination != path || m.Volume == nil {
			continue
		}
		if v := group.Volumes[*m.Volume]; v != nil {
			return v.Source, v.Type == "csi"
		}
	}
	return "", false
}

// blocks returns the blocks of one kind of a config, which has one or a list of them.
func blocks(v any) (list []map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []map[string]any:
		return v
	case []any:
		for _, each := range v {
			list = append(list, blocks(each)...)
		}
	}
	return list
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// nodesOf are the names of the nodes with allocations of a version that have not ended.
func nodesOf(allocations []*api.AllocationListStub, version uint64) (nodes []string) {
	for _, a := range allocations {
		if a.JobVersion == version && isAlive(a) {
			nodes = append(nodes, a.NodeName)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}
