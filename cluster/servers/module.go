package servers

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// modulePath is the path of the module that a server is built in. It can't be fetched, and it is the same everywhere,
// so that builds share the compiler's cache.
func (r Recipe) modulePath() string { return "example.invalid/countersign/" + r.Name }

// buildModule derives the go.mod and go.sum of the module that builds the server from those of its root module, whose
// checksums were verified. The root becomes a dependency, so every version and checksum that it names stays pinned;
// what it takes from its own directories is replaced by the published modules of the recipe.
func (r Recipe) buildModule(rootMod, rootSum []byte) (mod, sum []byte, err error) {
	f, err := modfile.Parse("go.mod", rootMod, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("go.mod of %s@%s: %w", r.Module, r.Version, err)
	}
	if f.Module == nil || f.Module.Mod.Path != r.Module {
		return nil, nil, fmt.Errorf("go.mod of %s@%s names another module", r.Module, r.Version)
	}
	edit := func(e error) {
		if err == nil {
			err = e
		}
	}
	edit(f.AddModuleStmt(r.modulePath()))
	for _, m := range r.DropReplaces {
		edit(f.DropReplace(m, ""))
	}
	for _, m := range r.Replaces {
		edit(f.AddReplace(m[0], "", m[1], m[2]))
	}
	edit(f.AddRequire(r.Module, r.Version))
	for _, m := range r.Requires {
		edit(f.AddRequire(m[0], m[1]))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("go.mod to build %s: %w", r.Name, err)
	}
	f.Cleanup()
	for _, rep := range f.Replace {
		if rep.New.Version == "" {
			return nil, nil, fmt.Errorf("go.mod to build %s: %s is still replaced by directory %s: the recipe lacks it",
				r.Name, rep.Old.Path, rep.New.Path)
		}
	}
	if mod, err = f.Format(); err != nil {
		return nil, nil, fmt.Errorf("go.mod to build %s: %w", r.Name, err)
	}
	lines := append(sumLines(rootSum),
		fmt.Sprintf("%s %s %s", r.Module, r.Version, r.Sum),
		fmt.Sprintf("%s %s/go.mod %s", r.Module, r.Version, r.ModSum))
	lines = append(lines, r.Sums...)
	slices.Sort(lines)
	return mod, []byte(strings.Join(slices.Compact(lines), "\n") + "\n"), nil
}

// sumLines splits a go.sum file.
func sumLines(sum []byte) []string {
	return slices.DeleteFunc(strings.Split(string(sum), "\n"), func(line string) bool { return line == "" })
}

// unpinned returns the lines of after that before lacks: modules that the build took though nothing pinned them.
func unpinned(before, after []byte) []string {
	known := sumLines(before)
	slices.Sort(known)
	return slices.DeleteFunc(sumLines(after), func(line string) bool {
		_, ok := slices.BinarySearch(known, line)
		return ok
	})
}
