package main

import (
	"fmt"
	"os"
	"regexp"
)

// pin matches an entry of FUNCTIONS in repos.bzl, as buildifier formats it: name, up to the commit, commit.
var pin = regexp.MustCompile(`(?m)^    "([a-z0-9-]+)": \{\n        "commit": "([0-9a-f]{40}|[0-9a-f]{64})",$`)

// sdkPin matches SDK in repos.bzl, up to the commit; the name stands for it in pinFile.
var sdkPin = regexp.MustCompile(`(?m)^(SDK) = \{\n    "commit": "([0-9a-f]{40}|[0-9a-f]{64})",$`)

// sdkName is what the repository of the SDK is called below .repos.
const sdkName = "sdk"

// block matches a whole entry: name, members. member matches one member that is a string.
var (
	block  = regexp.MustCompile(`(?ms)^    "([^"/.][^"/]*)": \{\n(.*?)^    \},$`)
	member = regexp.MustCompile(`(?m)^        "(\w+)": "([^"\\]*)",$`)
)

// entry is what repos.bzl says of a repository.
type entry struct{ name, commit, ref, remote string }

// entries returns what is pinned, in the order of the file.
func (p *pinFile) entries() []entry {
	var list []entry
	for _, b := range block.FindAllStringSubmatch(p.text, -1) {
		members := map[string]string{"ref": "HEAD"}
		for _, m := range member.FindAllStringSubmatch(b[2], -1) {
			members[m[1]] = m[2]
		}
		list = append(list, entry{b[1], members["commit"], members["ref"], members["remote"]})
	}
	return list
}

// pinFile is repos.bzl.
type pinFile struct {
	path    string
	text    string
	commits map[string]string // name of the repository -> pinned commit
	changed bool
}

func readPins(path string) (*pinFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	p := &pinFile{path: path, text: string(text), commits: map[string]string{}}
	for _, m := range pin.FindAllStringSubmatch(p.text, -1) {
		p.commits[m[1]] = m[2]
	}
	if m := sdkPin.FindStringSubmatch(p.text); m != nil {
		p.commits[sdkName] = m[2]
	}
	return p, nil
}

// set moves the pin of a repository, in memory.
func (p *pinFile) set(name, commit string) error {
	found := pin.FindAllStringSubmatchIndex(p.text, -1)
	if name == sdkName {
		found = sdkPin.FindAllStringSubmatchIndex(p.text, -1)
	}
	for _, m := range found {
		if name == sdkName || p.text[m[2]:m[3]] == name {
			p.text = p.text[:m[4]] + commit + p.text[m[5]:]
			p.commits[name], p.changed = commit, true
			return nil
		}
	}
	return &pinError{name: name, commit: commit}
}

// write writes the pins back if one was moved.
func (p *pinFile) write() error {
	if !p.changed {
		return nil
	}
	if err := os.WriteFile(p.path, []byte(p.text), 0o644); err != nil {
		return fmt.Errorf("write the pins: %w", err)
	}
	return nil
}
