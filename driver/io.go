package driver

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hashicorp/nomad/plugins/drivers/proto"

	"countersign/host/control"
)

// storageTag and networkTag are blocks of a task's config block.
type storageTag struct {
	Tag      string `codec:"tag"`
	Path     string `codec:"path"`
	Access   string `codec:"access"`
	MaxBytes int64  `codec:"max_bytes"`
	MaxFiles int64  `codec:"max_files"`
	Source   string `codec:"source"`
	Dir      string `codec:"dir"`
}

type networkTag struct {
	Tag            string   `codec:"tag"`
	Protocol       string   `codec:"protocol"`
	Listen         bool     `codec:"listen"`
	Addresses      []string `codec:"addresses"`
	Service        string   `codec:"service"`
	Unix           string   `codec:"unix"`
	TLS            string   `codec:"tls"`
	TLSServerName  string   `codec:"tls_server_name"`
	TLSCA          string   `codec:"tls_ca"`
	Connections    int      `codec:"max_connections"`
	Bytes          int64    `codec:"max_bytes"`
	BytesPerSecond int64    `codec:"max_bytes_per_second"`
}

// bindStorage translates the storage tags of a task for the host. Where a volume is, only Nomad says, by its mount with the
// destination that the function sees.
func bindStorage(tags []storageTag, mounts []*proto.Mount) ([]control.Storage, error) {
	var list []control.Storage
	var used []string
	for _, t := range tags {
		if t.Access != "read-only" && t.Access != "read-write" {
			return nil, fmt.Errorf("storage tag %q: access %q is neither \"read-only\" nor \"read-write\"", t.Tag, t.Access)
		}
		s := control.Storage{Tag: t.Tag, Path: t.Path, ReadOnly: t.Access == "read-only", MaxBytes: t.MaxBytes,
			MaxFiles: t.MaxFiles, Source: control.StorageSource(t.Source), Dir: t.Dir}
		switch s.Source {
		case control.SourcePath:
			if !filepath.IsAbs(t.Dir) || filepath.Clean(t.Dir) != t.Dir {
				return nil, fmt.Errorf("storage tag %q: dir %q is not an absolute path in its shortest form", t.Tag, t.Dir)
			}
		case control.SourceVolume, control.SourceAllocation:
			if t.Dir != "" {
				return nil, fmt.Errorf("storage tag %q: dir is for source = \"path\" only", t.Tag)
			}
		default:
			return nil, fmt.Errorf("storage tag %q: source %q is none of path, volume, allocation", t.Tag, t.Source)
		}
		if s.Source == control.SourceVolume {
			i := slices.IndexFunc(mounts, func(m *proto.Mount) bool { return m.TaskPath == t.Path })
			if i < 0 {
				return nil, fmt.Errorf("storage tag %q: the job mounts no volume at %q: add a volume_mount with this destination "+
					"to the task", t.Tag, t.Path)
			}
			s.Dir, s.DirReadOnly = mounts[i].HostPath, mounts[i].Readonly
			used = append(used, t.Path)
		}
		list = append(list, s)
	}
	for _, m := range mounts {
		if !slices.Contains(used, m.TaskPath) {
			return nil, fmt.Errorf("the job mounts a volume at %q, which no storage tag of the task is bound to: a function sees "+
				"its storage tags only", m.TaskPath)
		}
	}
	return list, nil
}

func bindNetwork(tags []networkTag) []control.Network {
	var list []control.Network
	for _, t := range tags {
		list = append(list, control.Network(t))
	}
	return list
}
