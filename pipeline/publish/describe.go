package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"countersign"

	"github.com/google/renameio/v2"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/host/wasm"
	"countersign/pipeline/progress"
	"countersign/pipeline/registry"
)

// maxDocument bounds an interface document that is read from the cache, in bytes.
const maxDocument = 1 << 20

// describe asks what was built for its interface, and makes the artifact in memory: its digest does not depend on the
// registry. A native function has a module, too, built from the same source.
func (p *Publication) describe(ctx context.Context, f *Function) (progress.Outcome, error) {
	module, err := os.ReadFile(f.Wasm)
	if err != nil {
		return progress.Outcome{}, fmt.Errorf("read the module: %w", err)
	}
	document, cached, err := describe(ctx, module)
	if err != nil {
		return progress.Outcome{}, err
	}
	if f.Interface, err = artifact.ParseInterface(f.Name, document, f.Function.Calls); err != nil {
		return progress.Outcome{}, err
	}
	err = p.pack(f, module, document)
	return progress.Outcome{Detail: "interface " + countersign.Short(f.Interface.Digest), Idle: cached}, err
}

// pack makes the artifact of a function.
func (p *Publication) pack(f *Function, module, document []byte) error {
	contents := artifact.Contents{Function: f.Name, Spec: f.SpecSource, Interface: document}
	if f.Runtime == hclspec.RuntimeWasm {
		contents.Wasm = module
	} else {
		contents.Native = map[string][]byte{}
		for platform, file := range f.Native {
			executable, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read the executable for %s: %w", platform, err)
			}
			contents.Native[platform] = executable
		}
		if err := checkExecutables(contents.Native); err != nil {
			return err
		}
	}
	_, manifest, err := artifact.Manifest(contents)
	if err != nil {
		return err
	}
	ref := registry.Reference(p.Environment.Registry, f.Name).WithDigest(manifest.Digest.String())
	if f.store, err = p.Open(ref); err != nil {
		return err
	}
	f.contents, f.Artifact = contents, ref
	return nil
}

// describe asks a module for its interface document, in a sandbox. What the same bytes said before is kept in the
// user's cache directory: asking takes a second or more, and most modules of a deploy are those of the last one.
func describe(ctx context.Context, module []byte) (document []byte, cached bool, err error) {
	file := describedBefore(module)
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Size() <= maxDocument {
		if document, err := os.ReadFile(file); err == nil {
			return document, true, nil
		}
	}
	document, err = wasm.Describe(ctx, module)
	if err != nil {
		return nil, false, fmt.Errorf("ask the module for its interface: %w", err)
	}
	if file != "" {
		// Without the cache the next deploy only takes longer.
		_ = remember(file, document)
	}
	return document, false, nil
}

// describedBefore names the cache's file for a module, or "" if the user has no cache directory.
func describedBefore(module []byte) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(module)
	return filepath.Join(dir, "countersign", "interfaces", hex.EncodeToString(sum[:])+".json")
}

// remember writes a file of the cache atomically: another deploy may be reading it.
func remember(file string, document []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(file, document, 0o644, renameio.WithTempDir(dir))
}
