package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// Binary is a server that can be run.
type Binary struct {
	Name    string `json:"name"`
	Version string `json:"version"` // as a Go module version: v1.10.4
	Path    string `json:"path"`    // absolute
	Built   bool   `json:"built"`   // from the recipe, as opposed to found on PATH
}

// NotFoundError says that a server is neither on PATH nor in the cache.
type NotFoundError struct {
	Name    string
	Skipped string // why the one on PATH is not used, or ""
}

// Error implements error.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("%s is not installed and was not built yet", e.Name)
	if e.Skipped != "" {
		text += " (" + e.Skipped + ")"
	}
	return text
}

// Find returns the server of r from PATH if that is new enough, else the one that was built before, else a
// *NotFoundError. It builds nothing.
func Find(ctx context.Context, r Recipe) (Binary, error) {
	found, skipped, err := fromPath(ctx, r)
	if err != nil || found != nil {
		return deref(found), err
	}
	path, err := r.cached()
	if err != nil {
		return Binary{}, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0 {
		return Binary{Name: r.Name, Version: r.Version, Path: path, Built: true}, nil
	}
	return Binary{}, &NotFoundError{Name: r.Name, Skipped: skipped}
}

func deref(b *Binary) Binary {
	if b == nil {
		return Binary{}
	}
	return *b
}

// fromPath looks at PATH. It returns nil and, when there is a command of that name that can't be used, the reason.
func fromPath(ctx context.Context, r Recipe) (found *Binary, skipped string, err error) {
	path, err := exec.LookPath(r.Name)
	if err != nil {
		return nil, "", nil
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, "", fmt.Errorf("absolute path of %s on PATH: %w", r.Name, err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link may go away, such as one in the directory of another cluster
	}
	version, err := askVersion(ctx, r, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		return nil, fmt.Sprintf("%s does not tell its version: %v", path, err), nil
	}
	if reason := unsuitable(r, version); reason != "" {
		return nil, fmt.Sprintf("%s is %s", path, reason), nil
	}
	return &Binary{Name: r.Name, Version: version, Path: path}, "", nil
}

// askVersion runs the command at path to learn its version.
func askVersion(ctx context.Context, r Recipe, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	arg := "version"
	if r.Name == Registry.Name {
		arg = "--version"
	}
	cmd := exec.CommandContext(ctx, path, arg)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "CHECKPOINT_DISABLE=1"}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, arg, err)
	}
	return parseVersion(r, string(out))
}

// A registry's second word is its module path: there are other commands of that name.
var versionPatterns = map[string]*regexp.Regexp{
	"vault":    regexp.MustCompile(`^Vault (v\d+\.\d+\.\d+\S*)`),
	"consul":   regexp.MustCompile(`^Consul (v\d+\.\d+\.\d+\S*)`),
	"nomad":    regexp.MustCompile(`^Nomad (v\d+\.\d+\.\d+\S*)`),
	"registry": regexp.MustCompile(`github\.com/\S*distribution\S* (v?\d+\.\d+\.\d+\S*)`),
}

// parseVersion takes the version out of what the command printed.
func parseVersion(r Recipe, out string) (string, error) {
	m := versionPatterns[r.Name].FindStringSubmatch(out)
	if m == nil {
		line, _, _ := strings.Cut(out, "\n")
		return "", fmt.Errorf("it printed %.60q", line)
	}
	version := "v" + strings.TrimPrefix(strings.TrimSuffix(m[1], ","), "v")
	if !semver.IsValid(version) {
		return "", fmt.Errorf("version %.60q is not of the form 1.2.3", m[1])
	}
	return version, nil
}

// unsuitable says why a version is not used, or "".
func unsuitable(r Recipe, version string) string {
	switch {
	case semver.Major(version) != semver.Major(r.Minimum):
		return fmt.Sprintf("version %s, and only %s.x is supported", version, semver.Major(r.Minimum))
	case semver.Compare(version, r.Minimum) < 0:
		return fmt.Sprintf("version %s, older than %s", version, r.Minimum)
	case strings.Contains(semver.Build(version), "ent"):
		return fmt.Sprintf("version %s, an enterprise build that needs a licence", version)
	}
	return ""
}

// isNotFound tells whether Find failed only because the server has to be built.
func isNotFound(err error) (skipped string, ok bool) {
	var e *NotFoundError
	if errors.As(err, &e) {
		return e.Skipped, true
	}
	return "", false
}
