package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
)

// CheckRemote returns a remote as it is written down in a file of a deployment repository: a path is absolute. What it refuses
// could not be in a file that others read, or would have git run a program.
func CheckRemote(remote string) (string, error) {
	switch {
	case remote == "":
		return "", errors.New("name a URL or path for git")
	case strings.HasPrefix(remote, "-") || strings.Contains(remote, "::"):
		return "", fmt.Errorf("%q is not a URL or path for git", remote)
	case strings.ContainsFunc(remote, isUnfit):
		return "", fmt.Errorf("%q holds spaces, quotes, backslashes or control characters, and can't be written down", remote)
	}
	if scheme, _, found := strings.Cut(remote, "://"); found {
		u, err := url.Parse(remote)
		if err != nil {
			return "", errors.New("the URL can't be parsed") // the reason would repeat a password in it
		}
		if _, has := u.User.Password(); has || scheme != "ssh" && u.User != nil {
			return "", errors.New("the URL holds credentials, and would be committed with them: leave them to git " +
				"(`git help credentials`)")
		}
		return remote, nil
	}
	if host, _, found := strings.Cut(remote, ":"); found && !strings.Contains(host, "/") {
		return remote, nil // as ssh writes it: git@example.com:countersign
	}
	return filepath.Abs(remote)
}

// isUnfit tells whether a character can't be between quotes in a Starlark file, on one line, or would not be seen there.
func isUnfit(r rune) bool {
	return !unicode.IsPrint(r) || unicode.IsSpace(r) || r == '"' || r == '\\' || r == unicode.ReplacementChar
}

// Redacted is a remote as it may be shown: without a password.
func Redacted(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.User != nil {
		return u.Redacted()
	}
	return remote
}

// Head returns the commit of a remote's default branch.
func Head(ctx context.Context, remote string) (string, error) {
	out, err := Repository{Ask: true}.Run(ctx, "ls-remote", "--quiet", "--", remote, "HEAD")
	if err != nil {
		return "", err
	}
	commit, name, _ := strings.Cut(strings.TrimSpace(out), "\t")
	if name != "HEAD" {
		return "", Refusef("%s has no HEAD", Redacted(remote))
	}
	return commit, nil
}

// Init makes a directory a git repository whose branch is called main, unless it is one.
func Init(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := (Repository{}).Run(ctx, "init", "--quiet", "--", dir); err != nil {
		return err
	}
	// -b is younger than some gits.
	_, err = At(dir).Run(ctx, "symbolic-ref", "HEAD", "refs/heads/main")
	return err
}
