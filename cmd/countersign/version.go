package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

const versionSummary = "print which build of this command it is"

func init() { register(command{"version", "", versionSummary, version}) }

func version(_ context.Context, s streams, args []string) error {
	if err := noArguments(parse(flags(s, "version", "", versionSummary), args)); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	fmt.Fprintln(s.out, describeBuild(info))
	return nil
}

// describeBuild says from which commit a build is, as far as it knows: Bazel tells it nothing.
func describeBuild(info *debug.BuildInfo) string {
	settings := map[string]string{}
	version := ""
	if info != nil {
		version = info.Main.Version
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	commit := cmp.Or(settings["vcs.revision"], "of an unknown commit")
	if settings["vcs.modified"] == "true" {
		commit += " with changes"
	}
	return fmt.Sprintf("countersign %s (%s; %s %s/%s)", cmp.Or(version, "(devel)"), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
