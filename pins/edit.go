package pins

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"countersign"
)

// Entries returns what is pinned, in the order of the file.
func (f *File) Entries() []Entry {
	var all []Entry
	for _, e := range f.entries {
		all = append(all, e.copy())
	}
	return all
}

func (e entry) copy() Entry {
	c := e.Entry
	c.Functions = maps.Clone(c.Functions)
	return c
}

// Entry returns the entry of a repository.
func (f *File) Entry(name string) (Entry, bool) {
	if e := f.lookUp(name); e != nil {
		return e.copy(), true
	}
	return Entry{}, false
}

// Of returns the entry of the repository that a function is in.
func (f *File) Of(function string) (Entry, bool) {
	for _, e := range f.entries {
		if slices.Contains(e.Names(), function) {
			return e.copy(), true
		}
	}
	return Entry{}, false
}

func (f *File) lookUp(name string) *entry {
	for i := range f.entries {
		if f.entries[i].Name == name {
			return &f.entries[i]
		}
	}
	return nil
}

// UnknownError is a repository that repos.bzl does not pin.
type UnknownError struct {
	Name, File string
	Known      []string
}

func (e *UnknownError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("%s pins no repository %s: it pins none", e.File, e.Name)
	}
	return fmt.Sprintf("%s pins no repository %s: it pins %s", e.File, e.Name, strings.Join(e.Known, ", "))
}

func (f *File) unknown(name string) error {
	e := &UnknownError{Name: name, File: f.path}
	for _, known := range f.entries {
		e.Known = append(e.Known, known.Name)
	}
	slices.Sort(e.Known)
	return e
}

// Set moves the pin of a repository to a commit. Nothing else of the text changes.
func (f *File) Set(name, commit string) error {
	e := f.lookUp(name)
	if e == nil {
		return f.unknown(name)
	}
	if !countersign.ValidCommit(commit) {
		return fmt.Errorf("pin %s: %q is not a full commit id; branches and tags can move", name, commit)
	}
	start := f.offset(e.commit.TokenPos)
	return f.replace(start, start+len(e.commit.Raw), `"`+commit+`"`)
}

// Add pins a repository, before the first one whose name comes after.
func (f *File) Add(e Entry) error {
	if f.lookUp(e.Name) != nil {
		return fmt.Errorf("%s pins %s already", f.path, e.Name)
	}
	text, err := e.render()
	if err != nil {
		return err
	}
	if len(f.dict.List) == 0 && f.dict.Lbrace.Line == f.dict.Rbrace.Line {
		at := f.offset(f.dict.Rbrace)
		return f.replace(at, at, "\n"+text)
	}
	at := f.lines[f.dict.Rbrace.Line-1]
	for i := len(f.entries) - 1; i >= 0; i-- {
		start, _, err := f.span(&f.entries[i])
		if err != nil {
			return err
		}
		if f.entries[i].Name > e.Name {
			at = start
		}
	}
	if between := f.src[f.lines[f.dict.Rbrace.Line-1]:f.offset(f.dict.Rbrace)]; len(bytes.TrimSpace(between)) > 0 {
		return f.refuse(f.dict.Rbrace, "the end of FUNCTIONS is not on a line of its own: have buildifier format the file")
	}
	return f.replace(at, at, text)
}

// Remove takes the pin of a repository away, with the comments that stand directly above it.
func (f *File) Remove(name string) error {
	e := f.lookUp(name)
	if e == nil {
		return f.unknown(name)
	}
	start, end, err := f.span(e)
	if err != nil {
		return err
	}
	inside, last := f.offset(f.dict.Lbrace)+1, f.offset(f.dict.Rbrace)
	if left := string(f.src[inside:start]) + string(f.src[end:last]); strings.TrimSpace(left) == "" {
		start, end = inside, last // buildifier has {} on one line
	} else {
		start, end = f.widen(start, end)
	}
	return f.replace(start, end, "")
}

// widen takes the blank lines along that buildifier would not have where a part is taken out: at the beginning and the end of
// the dict, and a second one in a row.
func (f *File) widen(start, end int) (int, int) {
	blank := func(from, to int) bool { return len(bytes.TrimSpace(f.src[from:to])) == 0 }
	line := func(offset int) int { n, _ := slices.BinarySearch(f.lines, offset); return n }
	first, after := line(start), line(end)
	if first == int(f.dict.Lbrace.Line) || blank(f.lines[first-1], start) {
		for after+1 < len(f.lines) && blank(f.lines[after], f.lines[after+1]) {
			after++
		}
	}
	if after+1 == int(f.dict.Rbrace.Line) {
		for blank(f.lines[first-1], f.lines[first]) {
			first--
		}
	}
	return f.lines[first], f.lines[after]
}

// span returns where the lines of an entry begin and end, with the comments directly above. It has to be formatted as buildifier
// does, so that nothing else is on them.
func (f *File) span(e *entry) (start, end int, err error) {
	from, _ := e.item.Span()
	_, to := e.item.Span()
	start, end = f.lines[from.Line-1], len(f.src)
	if int(to.Line) < len(f.lines) {
		end = f.lines[to.Line]
	}
	rest := bytes.TrimSpace(f.src[f.offset(to):end])
	before := bytes.TrimSpace(f.src[start:f.offset(from)])
	if len(before) > 0 || !bytes.HasPrefix(rest, []byte(",")) || len(rest) > 1 && !bytes.HasPrefix(bytes.TrimSpace(rest[1:]), []byte("#")) {
		return 0, 0, f.refuse(from, "%s is not on lines of its own, with a comma at the end: have buildifier format the file", e.Name)
	}
	for line := int(from.Line) - 1; line > int(f.dict.Lbrace.Line); line-- {
		at := f.lines[line-1]
		if !bytes.HasPrefix(bytes.TrimSpace(f.src[at:f.lines[line]]), []byte("#")) {
			break
		}
		start = at
	}
	return start, end, nil
}

// replace puts text in place of a part, if what comes of it is a file of pins.
func (f *File) replace(start, end int, text string) error {
	src := slices.Concat(f.src[:start], []byte(text), f.src[end:])
	edited := &File{path: f.path, read: f.read}
	if err := edited.parse(src); err != nil {
		return err
	}
	*f = *edited
	return nil
}

// render returns the entry as buildifier has it.
func (e Entry) render() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "    %q: {\n        \"commit\": %q,\n", e.Name, e.Commit)
	if e.Functions != nil {
		b.WriteString("        \"functions\": {\n")
		for _, name := range e.Names() {
			fmt.Fprintf(&b, "            %q: %q,\n", name, e.Functions[name])
		}
		b.WriteString("        },\n")
	}
	texts := []string{e.Name, e.Commit, e.Module, e.Remote, e.Ref}
	for name, label := range e.Functions {
		texts = append(texts, name, label)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, unfit) {
			return "", fmt.Errorf("pin %q: %q holds spaces, quotes, backslashes or control characters: %s can't name it", e.Name, text, FileName)
		}
	}
	if e.Module != "" {
		fmt.Fprintf(&b, "        \"module\": %q,\n", e.Module)
	}
	if e.Ref != HEAD && e.Ref != "" {
		fmt.Fprintf(&b, "        \"ref\": %q,\n", e.Ref)
	}
	fmt.Fprintf(&b, "        \"remote\": %q,\n    },\n", e.Remote)
	return b.String(), nil
}

// unfit tells whether a character can't be between quotes on one line, or would not be seen there.
func unfit(r rune) bool {
	return !unicode.IsPrint(r) || unicode.IsSpace(r) || r == '"' || r == '\\' || r == unicode.ReplacementChar
}
