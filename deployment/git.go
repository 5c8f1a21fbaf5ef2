package deployment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode"
)

// checkRemote returns a remote as it is written down: a path is absolute. What it refuses could not be in a file that others
// read, or would have git run a program.
func checkRemote(remote string) (string, error) {
	switch {
	case remote == "":
		return "", errors.New("where is Countersign fetched from? Name a URL or path for git")
	case strings.HasPrefix(remote, "-") || strings.Contains(remote, "::"):
		return "", fmt.Errorf("%q is not a URL or path for git", remote)
	case strings.ContainsFunc(remote, isUnfit):
		return "", fmt.Errorf("%q holds spaces, quotes, backslashes or control characters: countersign.bzl can't name it", remote)
	}
	if scheme, _, found := strings.Cut(remote, "://"); found {
		u, err := url.Parse(remote)
		if err != nil {
			return "", errors.New("the URL of Countersign can't be parsed") // the reason would repeat a password in it
		}
		if _, has := u.User.Password(); has || scheme != "ssh" && u.User != nil {
			return "", errors.New("the URL of Countersign holds credentials, and would be committed with them: leave them to git " +
				"(`git help credentials`)")
		}
		return remote, nil
	}
	if host, _, found := strings.Cut(remote, ":"); found && !strings.Contains(host, "/") {
		return remote, nil // as ssh writes it: git@example.com:countersign
	}
	return filepath.Abs(remote)
}

// isUnfit tells whether a character can't be between quotes in countersign.bzl, on one line.
func isUnfit(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '"' || r == '\\' }

// headOf returns the commit of a remote's default branch.
func headOf(ctx context.Context, remote string) (string, error) {
	out, err := git(ctx, "", "ls-remote", "--quiet", "--", remote, "HEAD")
	if err != nil {
		return "", fmt.Errorf("ask %s for the newest commit of Countersign: %w", remote, err)
	}
	commit, name, _ := strings.Cut(strings.TrimSpace(out), "\t")
	if name != "HEAD" {
		return "", fmt.Errorf("%s has no HEAD: name the commit of Countersign", remote)
	}
	return commit, nil
}

// initGit makes dir a git repository, unless it is one. Nothing is committed: that is for its owner to do, who can look at it.
func initGit(ctx context.Context, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
		return nil
	}
	if _, err := git(ctx, dir, "init", "--quiet"); err != nil {
		return fmt.Errorf("make %s a git repository: %w", dir, err)
	}
	// -b is younger than some gits.
	if _, err := git(ctx, dir, "symbolic-ref", "HEAD", "refs/heads/main"); err != nil {
		return fmt.Errorf("name the branch of %s: %w", dir, err)
	}
	return nil
}

// git runs git with the user's credentials, and without the variables of another repository's hooks.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "protocol.ext.allow=never"}, args...)...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE":
		default:
			cmd.Env = append(cmd.Env, v)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
