package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"countersign/host/wasm"
)

// maxDocument bounds an interface document that is read from the cache, in bytes.
const maxDocument = 1 << 20

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
		_, _ = writeIfChanged(file, document)
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
