package attest

import (
	"errors"
	"fmt"
	"slices"

	"countersign/strictjson"
)

const (
	// maxDepth bounds the nesting of a statement.
	maxDepth = 32
	// maxDependencies bounds the resolved dependencies; the first version of the format writes one.
	maxDependencies = 1024
)

// object is a JSON object whose names are matched byte for byte and occur once.
type object = strictjson.Object

// parseObject reads one JSON object.
func parseObject(src []byte) (object, error) {
	value, err := strictjson.Parse(src, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("reading the statement: %w", err)
	}
	root, ok := value.(object)
	if !ok {
		return nil, errors.New("the statement is not a JSON object")
	}
	return root, nil
}

// reader takes values out of objects and remembers the first thing that was not as it must be.
type reader struct {
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) object(parent object, name string) object {
	value, ok := parent[name].(object)
	if !ok {
		r.fail("%s is missing or not an object", name)
	}
	return value
}

func (r *reader) list(parent object, name string, limit int) []object {
	values, _ := parent[name].([]any)
	var list []object
	for _, value := range values {
		entry, ok := value.(object)
		if !ok {
			r.fail("%s holds something that is not an object", name)
			return nil
		}
		list = append(list, entry)
	}
	if len(list) == 0 || len(list) > limit {
		r.fail("%s has %d entries, not 1 to %d", name, len(list), limit)
		return nil
	}
	return list
}

func (r *reader) text(parent object, name string) string {
	value, ok := parent[name].(string)
	if !ok || !isText(value) {
		r.fail("%s is missing or not a printable text of at most %d bytes", name, maxText)
		return ""
	}
	return value
}

// optional reads a text that need not be there. One that is there must not be empty.
func (r *reader) optional(parent object, name string) string {
	if _, there := parent[name]; !there {
		return ""
	}
	return r.text(parent, name)
}

// texts reads an optional object of strings.
func (r *reader) texts(parent object, name string) map[string]string {
	if _, there := parent[name]; !there {
		return nil
	}
	values := map[string]string{}
	entries := r.object(parent, name)
	for key := range entries {
		values[key] = r.text(entries, key)
	}
	return values
}

// sha256 reads a subject's digest set, which must have a sha256.
func (r *reader) sha256(parent object) string {
	return "sha256:" + r.text(r.object(parent, "digest"), "sha256")
}

// subjects reads the manifest, which is the subject that is named as the function, and the files.
func (r *reader) subjects(root object, c *Claims) {
	for _, subject := range r.list(root, "subject", maxFiles+1) {
		name, digest := r.text(subject, "name"), r.sha256(subject)
		switch {
		case name != c.Function:
			c.Files = append(c.Files, File{Name: name, Digest: digest})
		case c.ManifestDigest == "":
			c.ManifestDigest = digest
		default:
			r.fail("two subjects are named %.80q", name)
		}
	}
	if c.ManifestDigest == "" {
		r.fail("no subject is named as the function, %.80q", c.Function)
	}
}

// source checks that the source is among the resolved dependencies, at the commit that the parameters name.
func (r *reader) source(definition object, c Claims) {
	uri, err := sourceURI(c.Repository)
	if err != nil {
		r.fail("%w", err)
		return
	}
	dependencies := r.list(definition, "resolvedDependencies", maxDependencies)
	if !slices.ContainsFunc(dependencies, func(dependency object) bool {
		digest, _ := dependency["digest"].(object)
		return dependency["uri"] == uri && digest["gitCommit"] == c.Commit
	}) {
		r.fail("the source at the stated commit is not among the resolved dependencies")
	}
}
