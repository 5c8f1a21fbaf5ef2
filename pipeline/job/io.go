package job

import "countersign/hclspec"

// StorageTag is a storage tag with what the environment binds it to.
type StorageTag struct {
	hclspec.Storage
	Source string // path, volume or allocation, as in the task's config block
	Dir    string // on the node, for path
	Volume string // of Nomad, for volume
	CSI    bool   // the volume is that of a CSI plugin
	Many   bool   // several allocations may have it at a time
}

// Type is that of the volume block.
func (t StorageTag) Type() string {
	if t.CSI {
		return "csi"
	}
	return "host"
}

// ReadOnly tells whether the function can't change anything there.
func (t StorageTag) ReadOnly() bool { return t.Access == hclspec.AccessReadOnly }

// AccessMode is how a CSI volume is claimed.
func (t StorageTag) AccessMode() string {
	switch {
	case t.Many && t.ReadOnly():
		return "multi-node-reader-only"
	case t.Many:
		return "multi-node-multi-writer"
	case t.ReadOnly():
		return "single-node-reader-only"
	}
	return "single-node-writer"
}

// Storage returns the bound storage tags. hclspec.Check has made sure that each is bound.
func (j *Job) Storage() (list []StorageTag) {
	for _, s := range j.Spec.Storage {
		t := StorageTag{Storage: s, Many: j.Spec.Scaling.Max > 1}
		for _, b := range j.Environment.Storage {
			switch {
			case b.Function != j.Spec.Name || b.Tag != s.Tag:
			case b.Path != "":
				t.Source, t.Dir = "path", b.Path
			case b.Volume != "":
				t.Source, t.Volume = "volume", b.Volume
			case b.CSIVolume != "":
				t.Source, t.Volume, t.CSI = "volume", b.CSIVolume, true
			case b.AllocationLocal:
				t.Source = "allocation"
			}
		}
		list = append(list, t)
	}
	return list
}

// NativeStorage tells whether the node has to be one that can count what native functions store.
func (j *Job) NativeStorage() bool {
	return j.Spec.Runtime == hclspec.RuntimeNative && len(j.Spec.Storage) > 0
}

// NetworkTag is a network tag with what the environment binds it to.
type NetworkTag struct {
	hclspec.Network
	hclspec.NetworkBinding
}

// Name is that of the tag.
func (t NetworkTag) Name() string { return t.Network.Tag }

// Network returns the bound network tags.
func (j *Job) Network() (list []NetworkTag) {
	for _, n := range j.Spec.Network {
		t := NetworkTag{Network: n}
		for _, b := range j.Environment.Network {
			if b.Function == j.Spec.Name && b.Tag == n.Tag {
				t.NetworkBinding = b
			}
		}
		list = append(list, t)
	}
	return list
}
