package modproxy

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"golang.org/x/mod/module"

	"countersign"
	"countersign/git"
)

// SDKPath is the module path of the SDK. ".internal" is reserved for private use, so nobody can register the domain and
// publish something else under it.
const SDKPath = "countersign.internal/sdk"

// sdkName is what the repository of the SDK is called in messages. It is not a name that FUNCTIONS can have.
const sdkName = "SDK"

// Pin is what repos.bzl says of a repository.
type Pin struct {
	Name   string // in FUNCTIONS
	Remote string // for git; one that begins with // is a path below the directory of repos.bzl
	Commit string
	Ref    string // branch or tag whose history holds the commit; HEAD for the remote's
	Module string // the module path that it has to have; "" for any whose last element is Name
}

// maxSteps bounds how long reading repos.bzl computes.
const maxSteps = 1_000_000

// ParsePins reads repos.bzl: the entries of FUNCTIONS, and of SDK if there is one, the last. Without SDK, it is the product as
// COUNTERSIGN pins it in countersign.bzl, if product is its text: the commit whose rules build the functions.
func ParsePins(file string, src, product []byte) ([]Pin, error) {
	globals, err := evaluate(file, src)
	if err != nil {
		return nil, err
	}
	if _, ok := globals[sdkName]; !ok && product != nil {
		of, err := evaluate(productFile, product)
		if err != nil {
			return nil, err
		}
		if pin, ok := of["COUNTERSIGN"]; ok {
			globals[sdkName] = pin
		}
	}
	functions, ok := globals["FUNCTIONS"].(*starlark.Dict)
	if !ok {
		return nil, fmt.Errorf("read the pins: %s sets no FUNCTIONS, or not to a dict", file)
	}
	var pins []Pin
	for _, item := range functions.Items() {
		name, _ := starlark.AsString(item[0])
		pin, err := parsePin(name, item[1])
		if err != nil {
			return nil, fmt.Errorf("%s: entry %s of FUNCTIONS: %w", file, item[0], err)
		}
		if !countersign.ValidName(name) {
			return nil, fmt.Errorf("%s: %s is not a name of a repository: use %s", file, item[0], countersign.NameForm)
		}
		pins = append(pins, pin)
	}
	if sdk, ok := globals[sdkName]; ok {
		pin, err := parsePin(sdkName, sdk)
		if err != nil {
			return nil, fmt.Errorf("%s: SDK: %w", file, err)
		}
		pin.Module = SDKPath
		pins = append(pins, pin)
	}
	return pins, nil
}

// evaluate returns what a file sets. It is a program, in which load gives functions that can't be called.
func evaluate(file string, src []byte) (starlark.StringDict, error) {
	options := &syntax.FileOptions{}
	parsed, err := options.Parse(file, src, 0)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	thread := &starlark.Thread{Load: loadNothing(parsed), Print: func(*starlark.Thread, string) {}}
	thread.SetMaxExecutionSteps(maxSteps)
	globals, err := starlark.ExecFileOptions(options, thread, file, src, nil)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	return globals, nil
}

// loadNothing gives each name that a file loads a function that fails: what it does is Bazel's business.
func loadNothing(file *syntax.File) func(*starlark.Thread, string) (starlark.StringDict, error) {
	names := starlark.StringDict{}
	for _, statement := range file.Stmts {
		if load, ok := statement.(*syntax.LoadStmt); ok {
			for _, ident := range load.From {
				names[ident.Name] = starlark.NewBuiltin(ident.Name, func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
					return nil, errors.New("what is loaded can't be called while FUNCTIONS is set; write its entries down")
				})
			}
		}
	}
	return func(*starlark.Thread, string) (starlark.StringDict, error) { return names, nil }
}

func parsePin(name string, value starlark.Value) (Pin, error) {
	p := Pin{Name: name, Ref: "HEAD"}
	dict, ok := value.(*starlark.Dict)
	if !ok {
		return p, fmt.Errorf("it is a %s, not a dict", value.Type())
	}
	for member, into := range map[string]*string{"commit": &p.Commit, "module": &p.Module, "ref": &p.Ref, "remote": &p.Remote} {
		v, found, err := dict.Get(starlark.String(member))
		if err != nil || !found {
			continue
		}
		if *into, ok = starlark.AsString(v); !ok {
			return p, fmt.Errorf("%q is a %s, not a string", member, v.Type())
		}
	}
	switch {
	case !countersign.ValidCommit(p.Commit):
		return p, fmt.Errorf("commit %q is not a full commit id", p.Commit)
	case !countersign.ValidRef(p.Ref):
		return p, fmt.Errorf("ref %q is not the name of a branch or tag", p.Ref)
	case p.Remote == "" || strings.HasPrefix(p.Remote, "-") || strings.ContainsAny(p.Remote, "\x00\n"):
		return p, fmt.Errorf("remote %q is not a URL or path for git", p.Remote)
	case p.Module != "" && module.CheckPath(p.Module) != nil:
		return p, fmt.Errorf("module: %w", module.CheckPath(p.Module))
	}
	return p, nil
}

// Permits tells whether the repository may be the module of a path, or why not. The path is the team's own word, and a
// team could name another's, or one that everybody uses: so without the platform's word only the last element counts.
func (p Pin) Permits(path string) error {
	if p.Module != "" {
		if path != p.Module {
			return git.Refusef("its go.mod says that it is module %s, and repos.bzl that it is %s", path, p.Module)
		}
		return nil
	}
	if path == SDKPath || strings.HasPrefix(path, SDKPath+"/") {
		return git.Refusef("its go.mod says that it is the SDK, module %s", path)
	}
	base, _, _ := module.SplitPathVersion(path)
	if base[strings.LastIndexByte(base, '/')+1:] != p.Name {
		return git.Refusef(`its go.mod says that it is module %s, whose last element is not %s; if that is right, say so in its entry in repos.bzl: "module": %q`,
			path, p.Name, path)
	}
	return nil
}
