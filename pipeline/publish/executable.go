package publish

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"slices"
)

// machines are what executables for each platform are for.
var machines = map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}

// checkExecutables refuses executables that no node could run: those for another machine than their platform's, and those
// that need a loader, which their sandbox does not have.
func checkExecutables(native map[string][]byte) error {
	for _, platform := range slices.Sorted(maps.Keys(native)) {
		if err := checkExecutable(platform, native[platform]); err != nil {
			return fmt.Errorf("no node can run the executable for %s: %w", platform, err)
		}
	}
	return nil
}

func checkExecutable(platform string, content []byte) error {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("it is not an ELF file: %w", err)
	}
	if f.Machine != machines[platform] || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("it is for %s", f.Machine)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Errorf("it is no program but %s", f.Type)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("it is not static: build it without cgo (countersign_function does)")
		}
	}
	return nil
}
