package host

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/native/files"
	"countersign/host/runtime"
	"countersign/host/storage"
)

// tagError says that a job's I/O tags are not those that its artifact was attested with.
type tagError struct{ msg string }

func (e *tagError) Error() string { return e.msg }

// Unverified makes it a refusal, as that of an artifact whose attestation doesn't verify.
func (e *tagError) Unverified() bool { return true }

// checkTags refuses a job whose I/O tags are not exactly those of the attested spec, and tags that the runtime can't hold
// the function to.
func (s *start) checkTags() error {
	refuse := func(format string, args ...any) error {
		return &tagError{fmt.Sprintf("the job of function %q: ", s.spec.Name) + fmt.Sprintf(format, args...) +
			": deploy again, or write the job as `countersign deploy` does"}
	}
	storage, network := s.request.Storage, s.request.Network
	for i, t := range storage {
		want, ok := storageTag(s.spec, t.Tag)
		if !ok || slices.ContainsFunc(storage[:i], func(o control.Storage) bool { return o.Tag == t.Tag }) {
			return refuse("storage tag %.64q is bound and not in the attested spec, or twice", t.Tag)
		}
		got := control.Storage{Tag: t.Tag, Path: t.Path, ReadOnly: t.ReadOnly, MaxBytes: t.MaxBytes, MaxFiles: t.MaxFiles}
		if got != want {
			return refuse("storage tag %q differs from the attested spec: path, access, max_bytes and max_files are %q, %s, %d and %d, "+
				"attested are %q, %s, %d and %d", t.Tag, got.Path, access(got), got.MaxBytes, got.MaxFiles,
				want.Path, access(want), want.MaxBytes, want.MaxFiles)
		}
		if t.DirReadOnly && !t.ReadOnly {
			return invalid("storage tag %q of function %q is read-write, and Nomad mounts its volume read-only", t.Tag, s.spec.Name)
		}
	}
	for i, t := range network {
		want, ok := networkTag(s.spec, t.Tag)
		if !ok || slices.ContainsFunc(network[:i], func(o control.Network) bool { return o.Tag == t.Tag }) {
			return refuse("network tag %.64q is bound and not in the attested spec, or twice", t.Tag)
		}
		if t.Protocol != want.Protocol || t.Listen != want.Listen {
			return refuse("network tag %q differs from the attested spec in protocol or listen", t.Tag)
		}
	}
	if len(storage) != len(s.spec.Storage) || len(network) != len(s.spec.Network) {
		return refuse("it binds %d of the %d storage tags and %d of the %d network tags of the attested spec",
			len(storage), len(s.spec.Storage), len(network), len(s.spec.Network))
	}
	return s.enforceable()
}

// nativeStorage says why this node can't count what native functions store, or returns nil. Tests exchange it.
var nativeStorage = files.Supported

// enforceable refuses the kinds of tags that nothing would hold the function to.
func (s *start) enforceable() error {
	if len(s.spec.Network) > 0 && s.spec.Runtime == hclspec.RuntimeNative {
		return invalid("function %q declares network tags and has runtime \"native\", in which this host can't hold it to them: "+
			"use runtime = \"wasm\"", s.spec.Name)
	}
	if len(s.spec.Storage) > 0 && s.spec.Runtime == hclspec.RuntimeNative {
		if err := nativeStorage(); err != nil {
			return invalid("function %q declares storage tags and has runtime \"native\": %v; use runtime = \"wasm\"", s.spec.Name, err)
		}
	}
	return nil
}

// bindStorage opens the volumes of the job's storage tags, and counts what is in them.
func (s *start) bindStorage() (list []runtime.Storage, err error) {
	for _, t := range s.request.Storage {
		dir, err := s.directory(t)
		if err != nil {
			return nil, invalid("storage tag %q of function %q: %v", t.Tag, s.spec.Name, err)
		}
		volume, err := s.host.disks.Open(dir, storage.Limits{ReadOnly: t.ReadOnly, MaxBytes: t.MaxBytes, MaxFiles: t.MaxFiles})
		dir.Close()
		var overlap *storage.OverlapError
		if errors.As(err, &overlap) {
			return nil, invalid("storage tag %q of function %q: %v", t.Tag, s.spec.Name, err)
		}
		if err != nil {
			return nil, fmt.Errorf("storage tag %q of function %q: %w", t.Tag, s.spec.Name, err)
		}
		s.task.volumes = append(s.task.volumes, volume)
		list = append(list, runtime.Storage{Path: t.Path, Volume: volume})
		u := volume.Usage()
		s.event("Storage %q is bound to %s, which has %d bytes in %d files", t.Tag, t.Source, u.Bytes, u.Files)
	}
	return list, nil
}

// directory opens what a storage tag is bound to. Volumes are defined by the node's operator, and Nomad says who may have
// which; other directories of the node have to be in the driver's configuration.
func (s *start) directory(t control.Storage) (*os.File, error) {
	switch t.Source {
	case control.SourceVolume:
		return os.Open(t.Dir)
	case control.SourcePath:
		return storage.OpenBelow(t.Dir, s.host.config.StorageAllow)
	case control.SourceAllocation:
		return storage.MakeBelow(s.request.AllocDir, "countersign-storage", s.spec.Name, t.Tag)
	}
	return nil, fmt.Errorf("it is bound to %q, which this host does not know", t.Source)
}

// storageTag is the attested storage tag of a name, as a job has to bind it.
func storageTag(f *hclspec.Function, name string) (control.Storage, bool) {
	i := slices.IndexFunc(f.Storage, func(t hclspec.Storage) bool { return t.Tag == name })
	if i < 0 {
		return control.Storage{}, false
	}
	t := f.Storage[i]
	return control.Storage{Tag: t.Tag, Path: t.Path, ReadOnly: t.Access == hclspec.AccessReadOnly, MaxBytes: t.MaxBytes,
		MaxFiles: int64(t.MaxFiles)}, true
}

func networkTag(f *hclspec.Function, name string) (hclspec.Network, bool) {
	i := slices.IndexFunc(f.Network, func(t hclspec.Network) bool { return t.Tag == name })
	if i < 0 {
		return hclspec.Network{}, false
	}
	return f.Network[i], true
}

func access(t control.Storage) string {
	if t.ReadOnly {
		return hclspec.AccessReadOnly
	}
	return hclspec.AccessReadWrite
}
