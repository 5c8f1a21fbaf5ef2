package repositories

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"go.starlark.net/syntax"
	"golang.org/x/mod/modfile"

	"countersign"
	"countersign/git"
	"countersign/hclspec"
	"countersign/pins"
)

// What is read of a repository at most.
const (
	maxFile       = 1 << 20
	maxBuildFiles = 1000
	maxFunctions  = 1000
)

// Function is a function of a repository.
type Function struct {
	Name  string   `json:"name"`
	Label string   `json:"label"` // within the repository
	Calls []string `json:"calls"` // functions that its spec lists
}

// content is what a commit of a repository holds, as far as it concerns others. It is read and never run, so what a team's own
// rules make is not seen.
type content struct {
	functions map[string]Function // by full label, such as //cart:cart
	specs     func(path string) ([]byte, error)
	module    string            // path of the Go module at the root; "" without one
	requires  map[string]string // module path -> version
}

// read returns what a commit holds.
func read(ctx context.Context, of git.Repository, commit string) (*content, error) {
	entries, err := of.Tree(ctx, commit, "")
	if err != nil {
		return nil, err
	}
	files := map[string]git.Entry{}
	for _, e := range entries {
		if e.IsFile() {
			files[e.Path] = e
		}
	}
	c := &content{functions: map[string]Function{}, requires: map[string]string{}}
	c.specs = func(path string) ([]byte, error) {
		e, ok := files[path]
		if !ok {
			return nil, git.Refusef("it has no %s", path)
		}
		return of.Content(ctx, e, maxFile)
	}
	if text, err := c.specs("go.mod"); err == nil {
		c.readGoMod(text)
	}
	builds := 0
	for _, e := range entries { // in order: the same functions each time, if there are too many
		name := path.Base(e.Path)
		if _, both := files[path.Join(path.Dir(e.Path), "BUILD.bazel")]; name != "BUILD.bazel" && (name != "BUILD" || both) || !e.IsFile() {
			continue
		}
		if builds++; builds > maxBuildFiles || len(c.functions) > maxFunctions {
			break
		}
		text, err := of.Content(ctx, e, maxFile)
		if git.IsRefusal(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.readBuild(strings.TrimPrefix(path.Dir(e.Path), "."), text)
	}
	return c, ctx.Err()
}

func (c *content) readGoMod(text []byte) {
	file, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil || file.Module == nil {
		return // it is no module then, which is for others to say
	}
	c.module = file.Module.Mod.Path
	for _, r := range file.Require {
		c.requires[r.Mod.Path] = r.Mod.Version
	}
}

// readBuild adds the functions that a BUILD file declares by countersign_function, under whatever name it loads that.
func (c *content) readBuild(pkg string, text []byte) {
	file, err := (&syntax.FileOptions{}).Parse("BUILD", text, 0)
	if err != nil {
		return
	}
	rules := map[string]bool{}
	for _, statement := range file.Stmts {
		if load, ok := statement.(*syntax.LoadStmt); ok {
			for i, from := range load.From {
				if from.Name == "countersign_function" {
					rules[load.To[i].Name] = true
				}
			}
		}
	}
	for _, statement := range file.Stmts {
		expr, ok := statement.(*syntax.ExprStmt)
		if !ok {
			continue
		}
		call, ok := expr.X.(*syntax.CallExpr)
		if !ok {
			continue
		}
		if rule, ok := call.Fn.(*syntax.Ident); !ok || !rules[rule.Name] {
			continue
		}
		arguments := literals(call)
		if name := arguments["name"]; countersign.ValidName(name) {
			c.add(pkg, name, arguments["spec"])
		}
	}
}

// literals returns the named arguments of a call that are strings which are written down.
func literals(call *syntax.CallExpr) map[string]string {
	values := map[string]string{}
	for _, argument := range call.Args {
		binary, ok := argument.(*syntax.BinaryExpr)
		if !ok || binary.Op != syntax.EQ {
			continue
		}
		name, isName := binary.X.(*syntax.Ident)
		value, isLiteral := binary.Y.(*syntax.Literal)
		if isName && isLiteral && value.Token == syntax.STRING {
			values[name.Name] = value.Value.(string)
		}
	}
	return values
}

// add adds the function that a target is.
func (c *content) add(pkg, target, spec string) {
	file := path.Join(pkg, cmp.Or(strings.TrimPrefix(spec, ":"), target+".hcl"))
	if strings.HasPrefix(spec, "//") {
		in, name := split(spec)
		file = path.Join(in, name)
	}
	label := "//" + pkg + ":" + target
	c.functions[label] = Function{Name: target, Label: label, Calls: c.calls(file, target)}
}

// calls returns what a spec lists. A file of specs may hold several.
func (c *content) calls(file, function string) []string {
	text, err := c.specs(file)
	if err != nil {
		return nil
	}
	specs, _ := hclspec.ParseFunctions(file, text)
	for _, f := range specs {
		if f.Name == function {
			return f.Calls
		}
	}
	if len(specs) == 1 {
		return specs[0].Calls
	}
	return nil
}

// split returns package and target of a label such as //cart or //:till.
func split(label string) (pkg, target string) {
	pkg, target, found := strings.Cut(strings.TrimPrefix(label, "//"), ":")
	if !found {
		target = path.Base(pkg)
	}
	return pkg, target
}

// short writes a label as people do.
func short(label string) string {
	if pkg, target := split(label); pkg != "" && path.Base(pkg) == target {
		return "//" + pkg
	}
	return label
}

// pinned returns the functions of a pin: those that it names, with what the commit says of them. c may be nil.
func (c *content) pinned(e pins.Entry) []Function {
	labels := e.Functions
	if labels == nil {
		labels = map[string]string{e.Name: "//:" + e.Name}
	}
	list := []Function{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		f := Function{Name: name, Label: labels[name]}
		if c != nil {
			f.Calls = c.callsOf(name, labels[name])
		}
		if f.Calls == nil {
			f.Calls = []string{}
		}
		list = append(list, f)
	}
	return list
}

// callsOf returns what the spec of a function lists: that of its target, or, where a team has a rule of its own, the one with the
// usual name.
func (c *content) callsOf(name, label string) []string {
	pkg, target := split(label)
	if f, ok := c.functions["//"+pkg+":"+target]; ok {
		return f.Calls
	}
	return c.calls(path.Join(pkg, target+".hcl"), name)
}

// has tells whether a commit declares the target of a label.
func (c *content) has(label string) bool {
	pkg, target := split(label)
	_, ok := c.functions["//"+pkg+":"+target]
	return ok
}

// entryOf returns the functions of a repository as an entry of repos.bzl has them: nil for the one that is named like it.
func (c *content) entryOf(repository string) (map[string]string, error) {
	if len(c.functions) == 0 {
		return nil, git.Refusef("no BUILD file of it declares a countersign_function: it has no functions that could be deployed")
	}
	functions := map[string]string{}
	for _, label := range slices.Sorted(maps.Keys(c.functions)) {
		name := c.functions[label].Name
		if other, twice := functions[name]; twice {
			return nil, git.Refusef("it has the function %s twice, %s and %s; name those that are meant", name, other, short(label))
		}
		functions[name] = short(label)
	}
	if len(functions) == 1 && functions[repository] == "//:"+repository {
		return nil, nil
	}
	return functions, nil
}

// missing returns an error for functions of a pin that were there before and are not any more.
func missing(e pins.Entry, before, after *content) error {
	if before == nil {
		return nil
	}
	for _, f := range after.pinned(e) {
		if before.has(f.Label) && !after.has(f.Label) {
			return git.Refusef("it has no function %s (%s) any more, which the pin lists: take it out of its entry in repos.bzl, or the whole pin "+
				"(`countersign repos remove %s`)", f.Name, f.Label, e.Name)
		}
	}
	return nil
}

// differences tells in sentences what one commit of a pin is to others that another one is not.
func differences(e pins.Entry, before, after *content) []string {
	var notes []string
	if before == nil || after == nil {
		return nil
	}
	for _, label := range slices.Sorted(maps.Keys(after.functions)) {
		if _, old := before.functions[label]; !old && !lists(e, label) {
			notes = append(notes, fmt.Sprintf("new function %s, %s: list it in the functions of its entry to deploy it",
				after.functions[label].Name, short(label)))
		}
	}
	old := map[string][]string{}
	for _, f := range before.pinned(e) {
		old[f.Name] = f.Calls
		if before.has(f.Label) && !after.has(f.Label) {
			notes = append(notes, fmt.Sprintf("function %s (%s) is gone", f.Name, f.Label))
		}
	}
	for _, f := range after.pinned(e) {
		if more := without(f.Calls, old[f.Name]); len(more) > 0 {
			notes = append(notes, fmt.Sprintf("%s calls %s now", f.Name, strings.Join(more, ", ")))
		}
		if fewer := without(old[f.Name], f.Calls); len(fewer) > 0 {
			notes = append(notes, fmt.Sprintf("%s does not call %s any more", f.Name, strings.Join(fewer, ", ")))
		}
	}
	if before.module != after.module {
		notes = append(notes, fmt.Sprintf("its Go module is %q, and was %q", after.module, before.module))
	}
	return notes
}

// lists tells whether a pin has the target of a label as a function.
func lists(e pins.Entry, label string) bool {
	return slices.ContainsFunc((*content)(nil).pinned(e), func(f Function) bool {
		pkg, target := split(f.Label)
		return "//"+pkg+":"+target == label
	})
}

// without returns what is in a and not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
