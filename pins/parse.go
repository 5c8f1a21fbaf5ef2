package pins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"

	"countersign"
)

// FileName is what the file with the pins is called.
const FileName = "repos.bzl"

// maxSize bounds the file: some twenty thousand pins.
const maxSize = 4 << 20

// HEAD is the ref of an entry that names none: the remote's default branch.
const HEAD = "HEAD"

// Entry is a repository that repos.bzl pins.
type Entry struct {
	Name      string
	Commit    string            // full id
	Functions map[string]string // function -> label in the repository; nil for the one function Name, //:<Name>
	Module    string            // Go module path that the repository has to have; "" for any whose last element is Name
	Ref       string            // branch or tag whose history holds the commit; HEAD for the remote's
	Remote    string            // for git; one that begins with // is a path below the directory of repos.bzl
}

// Names returns the names of the entry's functions, in order.
func (e Entry) Names() []string {
	if e.Functions == nil {
		return []string{e.Name}
	}
	return slices.Sorted(maps.Keys(e.Functions))
}

// SyntaxError is something in the file that is not as it has to be.
type SyntaxError struct {
	File         string
	Line, Column int // 1-based
	Reason       string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// File is repos.bzl in memory.
type File struct {
	path    string
	read    []byte // as it was on disk
	src     []byte
	lines   []int // offsets of the lines
	dict    *syntax.DictExpr
	entries []entry
}

// entry is an Entry and where it is.
type entry struct {
	Entry
	item   *syntax.DictEntry
	commit *syntax.Literal
}

// Parse reads the text of repos.bzl. All that is wrong with it is told at once, each as a *SyntaxError.
func Parse(path string, src []byte) (*File, error) {
	f := &File{path: path, read: src}
	return f, f.parse(src)
}

// parse takes another text in place of what f holds, if it is one.
func (f *File) parse(src []byte) error {
	if len(src) > maxSize {
		return fmt.Errorf("read the pins: %s is too large: %d bytes, and at most %d", f.path, len(src), maxSize)
	}
	parsed, err := (&syntax.FileOptions{}).Parse(f.path, src, syntax.RetainComments)
	if failed := (syntax.Error{}); errors.As(err, &failed) {
		return f.refuse(failed.Pos, "%s", failed.Msg)
	}
	if err != nil {
		return fmt.Errorf("read the pins: %w", err)
	}
	dict, err := f.find(parsed)
	if err != nil {
		return err
	}
	entries, err := f.readEntries(dict)
	if err != nil {
		return err
	}
	f.src, f.dict, f.entries, f.lines = src, dict, entries, []int{0}
	for i, c := range src {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return nil
}

func (f *File) refuse(at syntax.Position, format string, args ...any) error {
	return &SyntaxError{f.path, int(at.Line), int(at.Col), fmt.Sprintf(format, args...)}
}

// find returns what FUNCTIONS is set to. If anything else at the top of the file uses it, what is written there may not be what
// it is in the end.
func (f *File) find(file *syntax.File) (dict *syntax.DictExpr, err error) {
	var errs []error
	for _, statement := range file.Stmts {
		if assign, ok := statement.(*syntax.AssignStmt); ok && dict == nil {
			if name, ok := assign.LHS.(*syntax.Ident); ok && name.Name == "FUNCTIONS" && assign.Op == syntax.EQ {
				if dict, ok = assign.RHS.(*syntax.DictExpr); !ok {
					start, _ := assign.RHS.Span()
					return nil, f.refuse(start, "FUNCTIONS is not a dict that is written down: {\"quote\": {…}}")
				}
				continue
			}
		}
		if _, ok := statement.(*syntax.DefStmt); ok {
			continue
		}
		syntax.Walk(statement, func(n syntax.Node) bool {
			if ident, ok := n.(*syntax.Ident); ok && ident.Name == "FUNCTIONS" {
				errs = append(errs, f.refuse(ident.NamePos, "FUNCTIONS is used or changed here: write its entries down where it is set, once"))
			}
			return true
		})
	}
	if dict == nil {
		errs = append(errs, &SyntaxError{f.path, 1, 1, "the file does not set FUNCTIONS"})
	}
	return dict, errors.Join(errs...)
}

func (f *File) readEntries(dict *syntax.DictExpr) ([]entry, error) {
	var entries []entry
	var errs []error
	lines := map[string]int32{}
	of := map[string]string{} // function -> repository
	for _, x := range dict.List {
		item := x.(*syntax.DictEntry)
		name, at, err := f.text(item.Key, "the name of a repository")
		if err == nil && !countersign.ValidName(name) {
			err = f.refuse(at, "%q is not a name of a repository: use %s", name, countersign.NameForm)
		}
		if first, again := lines[name]; err == nil && again {
			err = f.refuse(at, "%s is pinned in line %d already", name, first)
		}
		lines[name] = at.Line
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e, err := f.readEntry(name, item)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, function := range e.Names() {
			if other, again := of[function]; again {
				errs = append(errs, f.refuse(at, "function %s is in %s and in %s", function, other, name))
			}
			of[function] = name
		}
		entries = append(entries, *e)
	}
	return entries, errors.Join(errs...)
}

// readEntry reads one entry of FUNCTIONS.
func (f *File) readEntry(name string, item *syntax.DictEntry) (*entry, error) {
	e := &entry{Entry: Entry{Name: name, Ref: HEAD}, item: item}
	start, _ := item.Value.Span()
	members, ok := item.Value.(*syntax.DictExpr)
	if !ok {
		return nil, f.refuse(start, "%s is not a dict that is written down", name)
	}
	at := map[string]syntax.Position{}
	var errs []error
	for _, x := range members.List {
		member := x.(*syntax.DictEntry)
		key, pos, err := f.text(member.Key, "a member of "+name)
		if first, again := at[key]; err == nil && again {
			err = f.refuse(pos, "%s has %q in line %d already", name, key, first.Line)
		}
		if err == nil {
			at[key], err = f.readMember(e, key, member)
		}
		errs = append(errs, err)
	}
	check := func(member string, good bool, format string, args ...any) {
		pos, there := at[member]
		if !there {
			pos = start
		}
		if !good {
			errs = append(errs, f.refuse(pos, name+": "+format, args...))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	check("commit", countersign.ValidCommit(e.Commit), "commit %q is not a full commit id; branches and tags can move", e.Commit)
	check("ref", countersign.ValidRef(e.Ref), "ref %q is not the name of a branch or tag", e.Ref)
	check("remote", validRemote(e.Remote), "remote %q is not a URL or path for git", e.Remote)
	check("functions", e.Functions == nil || len(e.Functions) > 0, "functions is empty; without it, the function is //:%s", name)
	return e, errors.Join(errs...)
}

func validRemote(remote string) bool {
	return remote != "" && !strings.HasPrefix(remote, "-") && !strings.ContainsAny(remote, "\x00\n\r")
}

// readMember reads a member of an entry and returns where its value is.
func (f *File) readMember(e *entry, key string, member *syntax.DictEntry) (at syntax.Position, err error) {
	what := key + " of " + e.Name
	switch key {
	case "commit":
		if e.Commit, at, err = f.text(member.Value, what); err == nil {
			e.commit = member.Value.(*syntax.Literal)
		}
	case "module":
		e.Module, at, err = f.text(member.Value, what)
	case "ref":
		e.Ref, at, err = f.text(member.Value, what)
	case "remote":
		e.Remote, at, err = f.text(member.Value, what)
	case "functions":
		e.Functions, at, err = f.readFunctions(e.Name, member.Value)
	default:
		at, _ = member.Span()
		err = f.refuse(at, "%s has a member %q; there are commit, functions, module, ref, remote", e.Name, key)
	}
	return at, err
}

// readFunctions reads what the functions of a repository are.
func (f *File) readFunctions(repository string, value syntax.Expr) (map[string]string, syntax.Position, error) {
	at, _ := value.Span()
	dict, ok := value.(*syntax.DictExpr)
	if !ok {
		return nil, at, f.refuse(at, "functions of %s is not a dict that is written down", repository)
	}
	functions := map[string]string{}
	var errs []error
	for _, x := range dict.List {
		item := x.(*syntax.DictEntry)
		name, pos, err := f.text(item.Key, "a function of "+repository)
		if err == nil && !countersign.ValidName(name) {
			err = f.refuse(pos, "%q is not a name of a function: use %s", name, countersign.NameForm)
		}
		if _, again := functions[name]; err == nil && again {
			err = f.refuse(pos, "%s has the function %s twice", repository, name)
		}
		label, pos, labelErr := f.text(item.Value, "the label of "+name)
		if labelErr == nil && !strings.HasPrefix(label, "//") {
			labelErr = f.refuse(pos, "%q is not a label in %s, such as //:quote", label, repository)
		}
		functions[name] = label
		errs = append(errs, err, labelErr)
	}
	return functions, at, errors.Join(errs...)
}

// text returns the value of an expression that has to be a string that is written down.
func (f *File) text(x syntax.Expr, what string) (string, syntax.Position, error) {
	at, _ := x.Span()
	if literal, ok := x.(*syntax.Literal); ok && literal.Token == syntax.STRING {
		return literal.Value.(string), at, nil
	}
	return "", at, f.refuse(at, "%s is not a string that is written down", what)
}

// offset returns where a position is in the text.
func (f *File) offset(at syntax.Position) int {
	o := f.lines[at.Line-1]
	for range at.Col - 1 { // columns are of characters
		_, n := utf8.DecodeRune(f.src[o:])
		o += n
	}
	return o
}
