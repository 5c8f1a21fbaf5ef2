package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"countersign"
	"countersign/pins"
	"countersign/pipeline"
	"countersign/pipeline/load"
	"countersign/repositories"
)

const (
	sourceArgs    = "FUNCTION|REFERENCE [-dir DIRECTORY] [-env FILE] [-json]"
	sourceSummary = "fetch the exact source of what runs, or of an artifact, as its verified attestation names it"
)

func init() { register(command{"source", sourceArgs, sourceSummary, source}) }

func source(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "source", sourceArgs, sourceSummary+`

The files are those of the attested commit, without history and without anything that is not in it: what was written has
git's hash of the commit's files, or nothing is left.
`)
	var f pinFlags
	f.register(fs)
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"), "environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	dir := fs.String("dir", "", "`directory` to make (default FUNCTION-COMMIT)")
	asJSON := fs.Bool("json", false, "print JSON")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return &usageError{"name one function or artifact"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	v, err := pipeline.Verify(s.patient(ctx, "source"), env, rest[0], nil)
	if countersign.IsUnverified(err) {
		return fmt.Errorf("NOT VERIFIED: %s: %w", rest[0], err)
	}
	if err != nil {
		return err
	}
	base, err := f.base(v.Repository)
	if err != nil {
		return err
	}
	if f.cache, err = cloneCache(f.cache); err != nil {
		return err
	}
	if *dir == "" {
		*dir = v.Function + "-" + countersign.Short(v.Commit)
	}
	if *dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	origin := repositories.Origin{Function: v.Function, Remote: v.Repository, Commit: v.Commit, Ref: v.Ref}
	got, err := origin.Fetch(ctx, *dir, base, f.cache, func(text string) { fmt.Fprintf(s.err, "countersign source: %s\n", printable(text)) })
	if err != nil {
		return fmt.Errorf("fetch the source of %s: %w", v.Artifact, err)
	}
	if *asJSON {
		return printJSON(s.out, struct {
			*repositories.Source
			Function   string `json:"function"`
			Artifact   string `json:"artifact"`
			Repository string `json:"repository"`
		}{got, v.Function, v.Artifact, v.Repository}, nil)
	}
	for _, line := range [][2]string{{"VERIFIED", v.Artifact}, {"function", v.Function}, {"repository", printable(v.Repository)}, {"commit", got.Commit},
		{"tree", got.Tree}, {"files", fmt.Sprint(got.Files)}, {"source", got.Dir}} {
		fmt.Fprintf(s.out, "%-12s%s\n", line[0], line[1])
	}
	return nil
}

// base returns the deployment repository, if the remote is a path in it.
func (f *pinFlags) base(remote string) (string, error) {
	if !strings.HasPrefix(remote, "//") {
		return "", nil
	}
	path, err := f.path()
	if err != nil {
		return "", fmt.Errorf("the attested repository %s is a path in a deployment repository: %w", printable(remote), err)
	}
	if filepath.Base(path) != pins.FileName {
		return "", errors.New("-repos names no repos.bzl")
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}
