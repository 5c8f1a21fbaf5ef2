package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a module with what is linked of it.
type module struct {
	path   string
	groups []group
}

// group is the packages of a module that lie under the same licence files.
type group struct {
	dir      string   // of the licence files, from the module's root; "." is the root
	licences []string // SPDX identifiers
	packages []string // import paths
}

// readByPeople holds the licence files that no rule here covers, and what somebody found who read them. Another text
// has another digest and has to be read again.
var readByPeople = map[string]struct {
	file, sha256 string
	licences     []string
}{
	// BSD or GPL, as one chooses.
	"kernel.org/pub/linux/libs/security/libcap/psx": {
		"License", "279fa656c62857d42952b86a0789b98669ca1cb4b324a8d9e91397c174af4c14", []string{"BSD-3-Clause"},
	},
	// MIT for the code; the Unicode tables that it holds have Unicode's licence; their generator, which is not linked,
	// has Apache's.
	"github.com/apparentlymart/go-textseg/v15": {
		"LICENSE", "59e80949c14925f65181757d837ed93dea3783f62b031f642281d9e5b1936917", []string{"MIT", "Unicode-DFS-2016"},
	},
}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)
	// documentFile is a licence of the documentation, which is not linked.
	documentFile = regexp.MustCompile(`(?i)\.docs$`)
	spdxLine     = regexp.MustCompile(`(?m)^(?://|/?\*|#)?\s*SPDX-License-Identifier:\s*(\S.*?)\s*(?:\*/)?$`)
)

// judge finds the licences of what is linked. Its error names every package that may not be: one under a licence that
// is refused, under none, or under a text that nobody knows.
func judge(linked []linkedPackage) ([]module, error) {
	modules := map[string]*module{}
	var errs []error
	for _, pkg := range linked {
		dir, licences, err := licencesOf(pkg)
		if err == nil {
			err = checkHeaders(pkg)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", pkg.ImportPath, err))
			continue
		}
		m := modules[pkg.Module.Path]
		if m == nil {
			m = &module{path: pkg.Module.Path}
			modules[m.path] = m
		}
		m.add(dir, licences, pkg.ImportPath)
	}
	list := make([]module, 0, len(modules))
	for _, m := range modules {
		slices.SortFunc(m.groups, func(a, b group) int { return cmp.Compare(a.dir, b.dir) })
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return list, errors.Join(errs...)
}

func (m *module) add(dir string, licences []string, pkg string) {
	i := slices.IndexFunc(m.groups, func(g group) bool { return g.dir == dir })
	if i < 0 {
		i = len(m.groups)
		m.groups = append(m.groups, group{dir: dir, licences: licences})
	}
	m.groups[i].packages = append(m.groups[i].packages, pkg)
}

// licencesOf returns the licences of a package, from the licence files in the nearest directory that has any, and that
// directory, from the module's root. All files there have to be known.
func licencesOf(pkg linkedPackage) (dir string, licences []string, err error) {
	if pkg.Module == nil || pkg.Module.Dir == "" {
		return "", nil, errors.New("the go command does not say where its module is")
	}
	files, err := nearest(pkg.Dir, pkg.Module.Dir)
	if err != nil {
		return "", nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		rel, err := filepath.Rel(pkg.Module.Dir, file)
		if err != nil {
			return "", nil, err
		}
		dir = filepath.Dir(rel)
		found, err := identify(pkg.Module.Path, rel, text)
		if err != nil {
			return "", nil, fmt.Errorf("%s of %s: %w", rel, pkg.Module.Path, err)
		}
		licences = append(licences, found...)
	}
	slices.Sort(licences)
	return dir, slices.Compact(licences), nil
}

// nearest returns the licence files in the lowest directory that has any, from dir up to root.
func nearest(dir, root string) ([]string, error) {
	if rel, err := filepath.Rel(root, dir); err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("its directory %s is not in its module's, %s", dir, root)
	}
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		var files []string
		for _, e := range entries {
			name := e.Name()
			if licenceFile.MatchString(name) && !documentFile.MatchString(name) && !strings.HasSuffix(name, ".go") &&
				e.Type().IsRegular() {
				files = append(files, filepath.Join(dir, name))
			}
		}
		if len(files) > 0 {
			return files, nil
		}
		if dir == root {
			return nil, errors.New("it has no licence file, nor has a directory above it in its module")
		}
	}
}

// identify returns the licences in a file, all of which are accepted.
func identify(modulePath, file string, text []byte) ([]string, error) {
	if known, ok := readByPeople[modulePath]; ok && known.file == file {
		sum := sha256.Sum256(text)
		if hex.EncodeToString(sum[:]) == known.sha256 {
			return known.licences, nil
		}
		return nil, fmt.Errorf("its text is not the one that was read before; read it, and put SHA-256 %x into "+
			"tools/licences/judge.go", sum)
	}
	return recognise(string(text))
}

// checkHeaders refuses source files that name another licence than the accepted ones, whatever file lies beside them.
func checkHeaders(pkg linkedPackage) error {
	for _, name := range pkg.GoFiles {
		text, err := os.ReadFile(filepath.Join(pkg.Dir, name))
		if err != nil {
			return err
		}
		head, _, _ := strings.Cut(string(text), "\npackage ")
		for _, found := range spdxLine.FindAllStringSubmatch(head, -1) {
			if !acceptedExpression(found[1]) {
				return fmt.Errorf("%s says that it is under %s", name, found[1])
			}
		}
	}
	return nil
}

// acceptedExpression reads an SPDX expression of identifiers with AND and OR: every identifier has to be accepted, but
// for OR one of them.
func acceptedExpression(expression string) bool {
	for all := range strings.SplitSeq(strings.Trim(expression, "()"), " AND ") {
		if !slices.ContainsFunc(strings.Split(all, " OR "), func(id string) bool {
			return slices.Contains(accepted, strings.Trim(id, "() "))
		}) {
			return false
		}
	}
	return true
}
