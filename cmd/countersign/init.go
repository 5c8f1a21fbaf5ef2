package main

import (
	"context"
	"fmt"

	"countersign/deployment"
)

const (
	initArgs    = "-from REMOTE [-commit COMMIT] [-bazel VERSION] DIR"
	initSummary = "make a deployment repository: pins, environments, and what Bazel needs to build and deploy them"
)

func init() { register(command{"init", initArgs, initSummary, initDeployment}) }

func initDeployment(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "init", initArgs, initSummary)
	var o deployment.Options
	fs.StringVar(&o.Remote, "from", "", "`remote` from which git fetches Countersign: its rules, its command and tools/bazel")
	fs.StringVar(&o.Commit, "commit", "", "full id of the `commit` of it to pin (default that of the remote's HEAD)")
	fs.StringVar(&o.Bazel, "bazel", "", "`version` of Bazel (default the installed one, else "+deployment.DefaultBazel+")")
	dirs, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(dirs) != 1:
		return &usageError{"name one directory, which is new or empty"}
	case o.Remote == "":
		return &usageError{"where is Countersign fetched from? Name a URL or path for git with -from"}
	}
	o.Dir = dirs[0]
	made, err := deployment.Init(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, `%s is a deployment repository, with Countersign %.12s of %s and Bazel %s.

Next: pin a team's repository in repos.bzl, then
  cd %s
  countersign cluster up && source .cluster/env      # or environments/ with servers of your own
  bazel run //:deploy -- -env environments/dev.hcl
`, made.Dir, made.Commit, made.Remote, made.Bazel, dirs[0])
	return nil
}
