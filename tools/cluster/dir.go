package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"countersign/tools/progress"
	"countersign/tools/servers"
)

// dir is the state directory: an absolute path without symbolic links.
//
//	cluster.json     identity, trust domain and ports: state
//	env              what to source, 0600
//	environment.hcl  the environment file of this cluster
//	bin/             links to the commands
//	config/, log/, run/<server>.json
//	plugins/         the Nomad driver
//	data/<server>    what the servers keep; those of node 2 are named nomad-2, consul-2 and host-2
//	secrets/         Vault's unseal key and tokens, 0700
type dir struct{ root string }

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

// state is what a cluster keeps about itself, in cluster.json.
type state struct {
	ID             string                    `json:"id"` // marks everything that belongs to the cluster
	TrustDomain    string                    `json:"trust_domain"`
	Ports          map[string]map[string]int `json:"ports"` // server, purpose
	MinDynamicPort int                       `json:"min_dynamic_port"`
	Allocations    []string                  `json:"allocations,omitempty"` // see noteAllocations
	Drained        bool                      `json:"drained,omitempty"`     // Down drained the nodes; Up has to undo it
	Nodes          int                       `json:"nodes,omitempty"`       // 0 and 1 are the same
	Network        string                    `json:"network,omitempty"`     // see newNetwork; "" unless there are many nodes
}

// node is the name of the servers in Nomad and Consul, and of the cluster in Vault.
func (s *state) node() string { return "countersign-" + s.ID }

// NoClusterError says that a directory holds no cluster.
type NoClusterError struct{ Dir string }

// Error implements error.
func (e *NoClusterError) Error() string {
	return fmt.Sprintf("%s holds no cluster; `countersign cluster up -dir %s` makes one", e.Dir, e.Dir)
}

// load reads cluster.json.
func (d dir) load() (*state, error) {
	data, err := os.ReadFile(d.path("cluster.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &NoClusterError{Dir: d.root}
	}
	if err != nil {
		return nil, fmt.Errorf("state of the cluster: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("state of the cluster in %s: %w", d.path("cluster.json"), err)
	}
	if len(s.ID) != 10 || strings.Trim(s.ID, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("state of the cluster in %s: bad id %q", d.path("cluster.json"), s.ID)
	}
	if s.Nodes > MaxNodes || s.many() && net.ParseIP(s.host(1)) == nil {
		return nil, fmt.Errorf("state of the cluster in %s: bad nodes %d in network %q", d.path("cluster.json"), s.Nodes,
			s.Network)
	}
	if s.Ports == nil {
		s.Ports = map[string]map[string]int{}
	}
	return &s, nil
}

// loadOrCreate returns the state of the cluster, of a new one if there is none. "" and 0 leave what there is.
func (d dir) loadOrCreate(trustDomain string, nodes int) (*state, error) {
	if err := checkNodes(nodes); err != nil {
		return nil, err
	}
	s, err := d.load()
	var absent *NoClusterError
	switch {
	case err == nil && trustDomain != "" && trustDomain != s.TrustDomain:
		return nil, fmt.Errorf("the cluster in %s has trust domain %s, and its certificates name it: "+
			"use another -dir for trust domain %s", d.root, s.TrustDomain, trustDomain)
	case err == nil:
		if err := s.setNodes(nodes); err != nil {
			return nil, fmt.Errorf("cluster in %s: %w", d.root, err)
		}
		return s, nil
	case !errors.As(err, &absent):
		return nil, err
	}
	if trustDomain == "" {
		trustDomain = DefaultTrustDomain
	}
	if err := checkTrustDomain(trustDomain); err != nil {
		return nil, err
	}
	id := make([]byte, 5)
	rand.Read(id) // never fails
	s = &state{
		ID:             hex.EncodeToString(id),
		TrustDomain:    trustDomain,
		Ports:          map[string]map[string]int{},
		MinDynamicPort: dynamicFrom + dynamicCount*random(dynamicSlices),
	}
	if err := s.setNodes(nodes); err != nil {
		return nil, err
	}
	return s, d.save(s)
}

func (d dir) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = writeFile(d.path("cluster.json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("state of the cluster: %w", err)
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

// lockTime is how long one command waits for another to be done with the directory.
const lockTime = 90 * time.Second

// lock makes sure that only one process changes the cluster. The lock ends with the process.
func (d dir) lock(ctx context.Context, log *progress.Log) (unlock func(), err error) {
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return nil, fmt.Errorf("cluster directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	return lockFile(ctx, d.path("lock"), unix.LOCK_EX, func() { log.Printf("waiting: another command works on %s", d.root) })
}

// lockFile locks a file, which it makes if there is none; how is LOCK_EX, or LOCK_SH for what several may do at the same
// time. It calls waiting, unless nil, once when it has to wait.
func lockFile(ctx context.Context, path string, how int, waiting func()) (unlock func(), err error) {
	for {
		if unlock, err := tryLock(path, how); unlock != nil || err != nil {
			return unlock, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("lock %s is held by another command, which does not end: %w", path, err)
		}
	}
}

// tryLock is lockFile without waiting: unlock is nil if the file is locked.
func tryLock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
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
		temp := link + ".new"
		os.Remove(temp)
		if err := errors.Join(os.Symlink(target, temp), os.Rename(temp, link)); err != nil {
			return fmt.Errorf("link to %s: %w", name, err)
		}
	}
	return nil
}

// writeFile writes a file so that a reader sees all of it or none, also after a crash.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
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
