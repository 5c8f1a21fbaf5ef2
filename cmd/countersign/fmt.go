package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/rogpeppe/go-internal/diff"

	"countersign/hclspec"
	"countersign/terminal"
)

const (
	fmtArgs    = "[-check] [-diff] [file or directory … | -]"
	fmtSummary = "bring function specs and environment files into the canonical layout"
)

func init() {
	register(command{"fmt", fmtArgs, fmtSummary, format})
}

// formatter rewrites files.
type formatter struct {
	streams
	check, diff bool
	changed     int
	invalid     bool
}

func format(_ context.Context, s streams, args []string) error {
	fs := flags(s, "fmt", fmtArgs, fmtSummary+`

Files are rewritten in place and their names printed. Directories are searched; the default is the current one. With -
alone, standard input is formatted to standard output.
`)
	f := &formatter{streams: s}
	fs.BoolVar(&f.check, "check", false, "change nothing; exit with code 1 if a file is not in the canonical layout")
	fs.BoolVar(&f.diff, "diff", false, "print the changes instead of making them")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "-":
		err = f.stdin()
	case len(args) == 0:
		err = f.files([]string{"."})
	default:
		err = f.files(args)
	}
	if err == nil && (f.invalid || f.check && f.changed > 0) {
		return &exitError{exitFailure}
	}
	return err
}

func (f *formatter) stdin() error {
	src, err := io.ReadAll(io.LimitReader(f.in, hclspec.MaxSourceLength+1))
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	out, ok, err := f.format("standard input", src)
	if err != nil || !ok {
		return err
	}
	if !bytes.Equal(out, src) {
		f.changed++
	}
	switch {
	case f.diff:
		_, err = f.out.Write(diff.Diff("standard input", src, "formatted", out))
	case !f.check:
		_, err = f.out.Write(out)
	}
	return err
}

func (f *formatter) files(args []string) error {
	files, err := findHCL(args)
	errs := []error{err}
	for _, file := range files {
		errs = append(errs, f.file(file))
	}
	return errors.Join(errs...)
}

func (f *formatter) file(file string) error {
	src, err := readSource(file)
	if err != nil {
		return err
	}
	out, ok, err := f.format(file, src)
	if err != nil || !ok || bytes.Equal(out, src) {
		return err
	}
	f.changed++
	if f.diff {
		_, err := f.out.Write(diff.Diff(file, src, file+" formatted", out))
		return err
	}
	if !f.check {
		if err := replaceFile(file, out); err != nil {
			return fmt.Errorf("write the formatted %s: %w", file, err)
		}
	}
	fmt.Fprintln(f.out, file)
	return nil
}

// format formats src, or prints why it cannot.
func (f *formatter) format(name string, src []byte) (out []byte, ok bool, err error) {
	out, diags := hclspec.Format(src)
	if !diags.HasErrors() {
		return out, true, nil
	}
	f.invalid = true
	for _, d := range diags {
		d.Subject.Filename = name
	}
	columns, _ := terminal.Size(f.err)
	return nil, false, hclspec.WriteDiagnostics(f.err, map[string][]byte{name: src}, diags, columns, terminal.Colored(f.err))
}

// replaceFile puts content in place of a file's at once, so that nobody sees half of it. It follows links, and keeps
// the permissions.
func replaceFile(file string, content []byte) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, content, 0o644, renameio.WithTempDir(filepath.Dir(file)))
}
