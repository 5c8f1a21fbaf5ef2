package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// check is one entry of the lists: a change of one file that takes a security check out, and the tests that must fail
// then.
type check struct {
	name  string
	why   string // what is possible without it
	file  string // from the root of the checkout
	tests []testName
	hunk  []hunkLine
	text  string // of the entry, to tell whether it has changed
	where string // list and line of the entry
}

// testName is one test by its package, as `go test` takes it, and its name.
type testName struct{ pkg, name string }

func (t testName) String() string { return t.name + " in " + t.pkg }

// hunkLine is a line of the change. Its kind is one of these:
//
//	' '  it stays
//	'-'  it goes
//	'+'  it comes
//	'!'  its condition is never met or, if it has none, it is not executed
//	'>'  it comes, and is executed only in the mutant
type hunkLine struct {
	kind byte
	text string
}

// readLists reads the lists of a directory.
func readLists(dir string) ([]check, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(fmt.Errorf("there are no lists of checks in %s", dir), err)
	}
	var all []check
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a list of checks: %w", err)
		}
		list, err := parse(file, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	seen := map[string]string{}
	for _, c := range all {
		if before, twice := seen[c.name]; twice {
			return nil, fmt.Errorf("%s: check %s is at %s already", c.where, c.name, before)
		}
		seen[c.name] = c.where
	}
	return all, nil
}

// parse reads one list: entries with an empty line between them. Lines that begin with "#" are comments.
func parse(file, text string) (list []check, err error) {
	var c *check
	end := func() {
		if c != nil && err == nil {
			err = c.complete()
			list = append(list, *c)
		}
		c = nil
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, " \t\n")
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "":
			end()
		case c == nil:
			c = &check{where: fmt.Sprintf("%s:%d", file, n)}
			fallthrough
		default:
			c.text += line + "\n"
			if e := c.add(line); e != nil && err == nil {
				err = fmt.Errorf("%s:%d: %w", file, n, e)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	end()
	return list, err
}

// add takes one line of an entry.
func (c *check) add(line string) error {
	if kind := line[0]; strings.IndexByte("-+!> ", kind) >= 0 {
		c.hunk = append(c.hunk, hunkLine{kind, strings.TrimSpace(line[1:])})
		if kind == '!' && switched(line[1:], "") == "" {
			return errors.New("only a condition, or a statement of one line, can be left out")
		}
		return nil
	}
	key, value, _ := strings.Cut(line, ": ")
	if len(c.hunk) > 0 || value == "" {
		return errors.New("want check:, why:, file: and test:, then lines of the code that begin with -, +, !, > or a space")
	}
	switch key {
	case "check":
		c.name = value
	case "why":
		c.why = strings.TrimSpace(c.why + " " + value)
	case "file":
		c.file = value
	case "test":
		pkg, name, _ := strings.Cut(value, " ")
		if !strings.HasPrefix(pkg, "./") || !strings.HasPrefix(name, "Test") || strings.ContainsAny(name, "/ ") {
			return fmt.Errorf("test %q is not ./<package> Test<Name>", value)
		}
		c.tests = append(c.tests, testName{pkg, name})
	default:
		return fmt.Errorf("%q is unknown; there are check, why, file and test", key)
	}
	return nil
}

func (c *check) complete() error {
	changes := slices.ContainsFunc(c.hunk, func(l hunkLine) bool { return l.kind != ' ' })
	if c.name == "" || c.why == "" || c.file == "" || len(c.tests) == 0 || !changes {
		return fmt.Errorf("%s: an entry has check, why, file, at least one test, and lines that go or come", c.where)
	}
	if !filepath.IsLocal(c.file) {
		return fmt.Errorf("%s: file %s is not one of the checkout", c.where, c.file)
	}
	return nil
}

// isSwitched tells whether the check can be taken out while the program runs.
func (c *check) isSwitched() bool {
	return !slices.ContainsFunc(c.hunk, func(l hunkLine) bool { return l.kind == '-' || l.kind == '+' })
}

// mutate returns the source with the changes of checks, in which switched lines ask whether this is the mutant to be. The
// lines that stay and those that go must be in it in this order at exactly one place; how they are indented and aligned
// does not matter.
func mutate(source string, checks ...check) (string, error) {
	lines := strings.Split(source, "\n")
	changed := slices.Clone(lines) // by line of the source: checks may be about the same one
	for _, c := range checks {
		at, err := c.find(lines)
		if err != nil {
			return "", err
		}
		come := "" // what is put before the next line
		for _, l := range c.hunk {
			switch l.kind {
			case '+':
				come += l.text + "\n"
				continue
			case '>':
				come += fmt.Sprintf("if %s(%q) { %s }\n", switchName, c.name, l.text)
				continue
			case '-':
				changed[at] = ""
			case '!':
				changed[at] = switched(changed[at], c.name)
			}
			changed[at], come = come+changed[at], ""
			at++
		}
		changed[at] = come + changed[at]
	}
	return strings.Join(changed, "\n"), nil
}

// find returns at which line of the source the change begins. There is a line after it: the last one of a file is empty.
func (c *check) find(lines []string) (at int, err error) {
	var want []string
	for _, l := range c.hunk {
		if l.kind != '+' && l.kind != '>' {
			want = append(want, l.text)
		}
	}
	found := 0
	for i := range lines {
		if i+len(want) < len(lines) && slices.EqualFunc(lines[i:i+len(want)], want, same) {
			at, found = i, found+1
		}
	}
	if len(want) == 0 || found != 1 {
		return 0, fmt.Errorf("its lines are at %d places of %s, not at one: bring the entry up to date", found, c.file)
	}
	return at, nil
}

// switchName is the function that tells whether a mutant is the one to be. It is added to the packages of the mutants.
const switchName = "isMutant"

var (
	// conditional is a line with a condition: what is before it, the condition, and what is after.
	conditional = regexp.MustCompile(`^(.*\bif (?:.*; )?|\s*case )(.*)((?: \{|:)(?: //.*)?)$`)
	// statement is a line with a whole statement that declares nothing.
	statement = regexp.MustCompile(`^\s*(return .*|[\w.]+(\[.*\])? = .*|[A-Za-z][\w.]*\(.*\))$`)
)

// switched returns a line that in the mutant of a name has a condition that is computed as before and not met whatever
// comes out, or a statement that is not executed; "" if it is neither.
func switched(line, name string) string {
	before := ""
	if i := strings.LastIndexByte(line, '\n'); i >= 0 { // what was put before it
		before, line = line[:i+1], line[i+1:]
	}
	if m := conditional.FindStringSubmatch(line); m != nil {
		return before + fmt.Sprintf("%s(%s) && !%s(%q)%s", m[1], m[2], switchName, name, m[3])
	}
	if statement.MatchString(line) && strings.IndexByte("{(,", line[len(line)-1]) < 0 {
		return before + fmt.Sprintf("if !%s(%q) {\n%s\n}", switchName, name, line)
	}
	return ""
}

// same compares lines without their spacing.
func same(a, b string) bool {
	return slices.Equal(strings.Fields(a), strings.Fields(b))
}
