package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"countersign/hclspec"
)

// findHCL returns the files that arguments name: files as they are, and of directories, with those below, every
// function spec and environment file. Nomad jobs, other HCL files, and hidden and linked directories are left out.
func findHCL(args []string) (files []string, err error) {
	var errs []error
	seen := map[string]bool{}
	add := func(file string) {
		if file = filepath.Clean(file); !seen[file] {
			seen[file] = true
			files = append(files, file)
		}
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !info.IsDir():
			add(arg)
		default:
			errs = append(errs, walkHCL(arg, add))
		}
	}
	return files, errors.Join(errs...)
}

func walkHCL(dir string, add func(string)) error {
	found := false
	// The slash makes a link to a directory count as the directory.
	err := filepath.WalkDir(dir+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && filepath.Clean(path) != filepath.Clean(dir):
			return filepath.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(path) != ".hcl" || strings.HasSuffix(path, ".nomad.hcl"):
			return nil
		}
		src, err := readSource(path)
		if err != nil {
			return err
		}
		if hclspec.KindOf(src) != "" {
			found = true
			add(path)
		}
		return nil
	})
	if err == nil && !found {
		return fmt.Errorf("no function spec or environment file (*.hcl) in directory %s", dir)
	}
	return err
}

// readSource reads an HCL file. One that is too large is cut just enough for hclspec to refuse it.
func readSource(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, hclspec.MaxSourceLength+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return src, nil
}
