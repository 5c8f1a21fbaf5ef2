package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/renameio/v2"

	"countersign/cluster/servers"
)

// dir is the state directory: an absolute path without symbolic links.
//
//	cluster.json     identity, trust domain and ports: state
//	env              what to source, 0600
//	environment.hcl  the environment file of this cluster
//	bin/             links to the commands
//	config/, log/, run/<server>.json
//	log/vault-audit.log  who asked Vault for what, 0600
//	plugins/         the Nomad driver
//	data/<server>    what the servers keep; those of node 2 are named nomad-2, consul-2 and host-2
//	secrets/         Vault's unseal key and tokens, 0700
type dir struct{ root string }

// open resolves the state directory of a cluster without touching it.
func open(path string) (dir, error) {
	if path == "" {
		path = DefaultDir
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return dir{}, fmt.Errorf("cluster directory %s: %w", path, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real // mounts below it are listed by their real path
	} else if parent, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(parent, filepath.Base(abs))
	} else if !errors.Is(err, os.ErrNotExist) {
		return dir{}, fmt.Errorf("cluster directory %s: %w", path, err)
	}
	return dir{abs}, nil
}

func (d dir) path(parts ...string) string {
	return filepath.Join(append([]string{d.root}, parts...)...)
}
func (d dir) logFile(server string) string { return d.path("log", server+".log") }

// check refuses paths that the servers' configuration files or PATH can't hold, and directories of somebody else,
// which a purge would remove.
func (d dir) check() error {
	bad := strings.ContainsFunc(d.root, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == ':' || r == utf8.RuneError
	})
	if bad || strings.Contains(d.root, "${") || strings.Contains(d.root, "%{") {
		return fmt.Errorf("cluster directory %q: a path with ':', control characters, \"${\" or \"%%{\" can't be used; "+
			"choose another with -dir", d.root)
	}
	entries, err := os.ReadDir(d.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cluster directory: %w", err)
	}
	// What a command that was killed at once may have left is no reason.
	foreign := slices.IndexFunc(entries, func(e os.DirEntry) bool {
		return e.Name() != "lock" && !strings.HasPrefix(e.Name(), ".cluster.json.")
	})
	if _, err := d.load(); errors.As(err, new(*NoClusterError)) && foreign >= 0 {
		return fmt.Errorf("%s holds other things, such as %s, and no cluster: a cluster needs a directory of its own",
			d.root, entries[foreign].Name())
	}
	return nil
}

// prepare makes the directories. Only secrets is closed: tasks of other users have to get through to their own.
func (d dir) prepare() error {
	for _, name := range []string{"config", "log", "run", "plugins", "bin", "data", "tmp"} {
		if err := os.MkdirAll(d.path(name), 0o755); err != nil {
			return fmt.Errorf("cluster directory: %w", err)
		}
	}
	if err := os.MkdirAll(d.path("secrets"), 0o700); err != nil {
		return fmt.Errorf("cluster directory: %w", err)
	}
	return nil
}

// linkCommands fills bin/, which the env file puts on PATH.
func (d dir) linkCommands(binaries map[string]servers.Binary, cli string) error {
	targets := map[string]string{}
	for name, b := range binaries {
		if name != servers.Registry.Name { // nobody types it
			targets[name] = b.Path
		}
	}
	if cli != "" {
		targets["countersign"] = cli
	}
	for name, target := range targets {
		link := d.path("bin", name)
		if now, err := os.Readlink(link); err == nil && now == target {
			continue
		}
		if err := renameio.Symlink(target, link); err != nil {
			return fmt.Errorf("link to %s: %w", name, err)
		}
	}
	return nil
}

// writeFile writes a file so that a reader sees all of it or none, also after a crash.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing after the rename
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// random returns a number below n.
func random(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(fmt.Sprintf("the system has no randomness: %v", err))
	}
	return int(i.Int64())
}

// sleep waits for d, or less when ctx ends, which it returns as an error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
