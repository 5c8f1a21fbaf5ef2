package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"countersign/hclspec"
	"countersign/pipeline/load"
	"countersign/terminal"
)

const (
	validateArgs    = "[-json] [-env FILE] [file or directory …]"
	validateSummary = "check function specs and environment files"
)

func init() {
	register(command{"validate", validateArgs, validateSummary, validate})
}

// validate checks files and prints everything that is wrong with them.
func validate(_ context.Context, s streams, args []string) error {
	fs := flags(s, "validate", validateArgs, validateSummary+`

Directories are searched for specs and environment files; the default is the current one. With -env, the specs have to
be those of a whole application, and are checked against that environment; its file may use variables of the process
environment, which have to be set. Other environment files are checked on their own, without variables.

The Go code beside a spec is looked at, too: a call of a function that the spec does not list is an error.

Exit code 1 says that something is wrong; warnings are not.
`)
	asJSON := fs.Bool("json", false, "print JSON")
	envFile := fs.String("env", "", "check the specs against the environment in `FILE`")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	files, err := findHCL(args)
	if err != nil {
		return err
	}
	v := &validation{sources: map[string][]byte{}}
	if err := v.run(files, *envFile); err != nil {
		return err
	}
	if *asJSON {
		return v.printJSON(s)
	}
	return v.print(s)
}

// validation is what is found in the files.
type validation struct {
	sources      map[string][]byte
	functions    []*hclspec.Function
	environments int
	diags        hcl.Diagnostics
}

func (v *validation) run(files []string, envFile string) error {
	var env *hclspec.Environment
	if envFile != "" {
		envFile = filepath.Clean(envFile)
		src, err := v.read(envFile)
		if err != nil {
			return err
		}
		var diags hcl.Diagnostics
		env, diags = hclspec.ParseEnvironment(envFile, src, processEnvironment())
		v.environments++
		v.diags = append(v.diags, diags...)
	}
	for _, file := range files {
		if file == envFile {
			continue
		}
		src, err := v.read(file)
		if err != nil {
			return err
		}
		var diags hcl.Diagnostics
		if hclspec.KindOf(src) == hclspec.KindEnvironment {
			_, diags = hclspec.ParseEnvironment(file, src, nil)
			v.environments++
		} else {
			var some []*hclspec.Function
			some, diags = hclspec.ParseFunctions(file, src)
			v.functions = append(v.functions, some...)
			for _, f := range some {
				more, err := load.CheckSource(f, file, v.sources)
				if err != nil {
					return err
				}
				diags = append(diags, more...)
			}
		}
		v.diags = append(v.diags, diags...)
	}
	v.diags = append(v.diags, hclspec.Check(v.functions, env)...)
	return nil
}

func (v *validation) read(file string) ([]byte, error) {
	src, err := readSource(file)
	v.sources[file] = src
	return src, err
}

func processEnvironment() map[string]string {
	env := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

func (v *validation) count(severity hcl.DiagnosticSeverity) (n int) {
	for _, d := range v.diags {
		if d.Severity == severity {
			n++
		}
	}
	return n
}

// result is the error that stands for the exit code.
func (v *validation) result() error {
	if v.diags.HasErrors() {
		return &exitError{exitFailure}
	}
	return nil
}

func (v *validation) print(s streams) error {
	columns, _ := terminal.Size(s.err)
	if err := hclspec.WriteDiagnostics(s.err, v.sources, v.diags, columns, terminal.Colored(s.err)); err != nil {
		return err
	}
	checked := plural(len(v.functions), "function") + " and " + plural(v.environments, "environment")
	found := plural(v.count(hcl.DiagError), "error") + ", " + plural(v.count(hcl.DiagWarning), "warning")
	fmt.Fprintf(s.out, "Checked %s: %s.\n", checked, found)
	return v.result()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// validateOutput is what validate -json prints; docs/spec.md describes it.
type validateOutput struct {
	Valid       bool             `json:"valid"`
	Errors      int              `json:"errors"`
	Warnings    int              `json:"warnings"`
	Diagnostics []diagnosticJSON `json:"diagnostics"`
}

type diagnosticJSON struct {
	Severity string        `json:"severity"` // "error" or "warning"
	Summary  string        `json:"summary"`
	Detail   string        `json:"detail"`
	File     string        `json:"file,omitempty"`
	Start    *positionJSON `json:"start,omitempty"`
	End      *positionJSON `json:"end,omitempty"` // just behind
	Snippet  string        `json:"snippet,omitempty"`
}

// positionJSON is a place in a file: line and column count from 1, column in characters; byte counts from 0.
type positionJSON struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

func (v *validation) printJSON(s streams) error {
	out := validateOutput{
		Valid: !v.diags.HasErrors(), Errors: v.count(hcl.DiagError), Warnings: v.count(hcl.DiagWarning),
		Diagnostics: []diagnosticJSON{},
	}
	for _, d := range v.diags {
		j := diagnosticJSON{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			j.Severity = "warning"
		}
		if at := d.Subject; at != nil {
			j.File = at.Filename
			j.Start = &positionJSON{at.Start.Line, at.Start.Column, at.Start.Byte}
			j.End = &positionJSON{at.End.Line, at.End.Column, at.End.Byte}
			j.Snippet = hclspec.Snippet(v.sources[at.Filename], *at)
		}
		out.Diagnostics = append(out.Diagnostics, j)
	}
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return v.result()
}
