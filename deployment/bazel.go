package deployment

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// DefaultBazel is the version that .bazelversion names where no Bazel is installed: the newest line of which no release needs a
// setting to read a WORKSPACE.
const DefaultBazel = "6.5.0"

// debianBazel is what Debian's command calls its own version, 4.2.3, and tells its programs apart by.
const debianBazel = "4"

// bazelVersion is a version of Bazel, and what .bazelrc has to say to it.
type bazelVersion struct {
	Version string
	debian  bool
	rc      []rcLine
}

// rcLine is a line of .bazelrc, and why it is there.
type rcLine struct{ Line, Why string }

var release = regexp.MustCompile(`^([0-9]+)\.[0-9]+\.[0-9]+$`)

// bazelFor returns what is to be known of a version: the one asked for, else that of the `bazel` on PATH, else DefaultBazel.
func bazelFor(ctx context.Context, asked string) (bazelVersion, error) {
	version := asked
	if version == "" {
		version = installed(ctx)
	}
	if version == debianBazel {
		return bazelVersion{Version: version, debian: true}, nil
	}
	m := release.FindStringSubmatch(version)
	if m == nil {
		return bazelVersion{}, fmt.Errorf("%q is no release of Bazel: name one such as %s, or %s for Debian's bazel-bootstrap",
			version, DefaultBazel, debianBazel)
	}
	const why = "This version reads a WORKSPACE only if it is told to."
	switch major, _ := strconv.Atoi(m[1]); major {
	case 6:
		return bazelVersion{Version: version}, nil
	case 7:
		return bazelVersion{Version: version, rc: []rcLine{{"common --noenable_bzlmod", why}}}, nil
	case 8:
		return bazelVersion{Version: version, rc: []rcLine{{"common --noenable_bzlmod --enable_workspace", why}}}, nil
	default:
		return bazelVersion{}, fmt.Errorf("no build with Bazel %s: the rules need 6.5 to 8, or %s, Debian's bazel-bootstrap; "+
			"Bazel 9 has no WORKSPACE mode", version, debianBazel)
	}
}

// installed returns the version of the bazel on PATH. Debian's build of 4.2.3 is the one that has none. In the root directory
// no repository says otherwise.
func installed(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "bazel", "--version")
	cmd.Dir = "/"
	cmd.Env = os.Environ()
	out, err := cmd.Output()
	if err != nil {
		return DefaultBazel
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "bazel ")
	if version == "no_version" {
		return debianBazel
	}
	if m := release.FindStringSubmatch(version); m == nil || len(m[1]) > 1 || m[1] < "6" || m[1] > "8" {
		return DefaultBazel // Bazelisk fetches it
	}
	return version
}
