package deployment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"countersign/git"
)

// checkRemote returns where git fetches Countersign from as it is written into countersign.bzl.
func checkRemote(remote string) (string, error) {
	remote, err := git.CheckRemote(remote)
	if err != nil {
		return "", fmt.Errorf("where is Countersign fetched from? %w", err)
	}
	return remote, nil
}

// headOf returns the commit of a remote's default branch.
func headOf(ctx context.Context, remote string) (string, error) {
	commit, err := git.Head(ctx, remote)
	if err != nil {
		return "", fmt.Errorf("ask %s for the newest commit of Countersign (-commit names one): %w", remote, err)
	}
	return commit, nil
}

// initGit makes dir a git repository, unless it is one. Nothing is committed: that is for its owner to do, who can look at it.
func initGit(ctx context.Context, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
		return nil
	}
	if err := git.Init(ctx, dir); err != nil {
		return fmt.Errorf("make %s a git repository: %w", dir, err)
	}
	return nil
}
