package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
)

// mutantVariable names the mutant to be, in the environment of tests.
const mutantVariable = "COUNTERSIGN_MUTANT"

// switchFile is the name of the file with the function of that name. Tests do not see it: no package has one.
const switchFile = "mutant_switch.go"

const switchSource = `package %s

import "os"

var theMutant = os.Getenv(%q)

func %s(name string) bool { return theMutant == name }
`

// overlay writes the files that checks change, and the file that makes the go command take them for those of the
// checkout. It returns the path of that.
func (r *runner) overlay(checks ...check) (string, error) {
	dir, err := os.MkdirTemp(r.scratch, "mutant-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	byFile := map[string][]check{}
	for _, c := range checks {
		file := filepath.Join(r.root, filepath.FromSlash(c.file))
		byFile[file] = append(byFile[file], c)
	}
	sources := map[string]string{}
	for file, list := range byFile {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading what to change: %w", err)
		}
		if sources[file], err = mutate(string(text), list...); err != nil {
			return "", err
		}
		if sources[filepath.Join(filepath.Dir(file), switchFile)], err = switchOf(file); err != nil {
			return "", err
		}
	}
	replace := map[string]string{}
	for file, text := range sources {
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("writing a mutant: %w", err)
		}
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", fmt.Errorf("writing a mutant: %w", err)
	}
	return overlay, nil
}

// switchOf returns the source of switchFile for the package of a file.
func switchOf(file string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
	if err != nil {
		return "", fmt.Errorf("reading what to change: %w", err)
	}
	return fmt.Sprintf(switchSource, parsed.Name.Name, mutantVariable, switchName), nil
}
