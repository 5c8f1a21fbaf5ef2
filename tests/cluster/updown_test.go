//go:build integration

package cluster

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign/cluster"
)

// TestUpDownUp follows a cluster through its life: up, up again, down, up with what it kept, and away.
func TestUpDownUp(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	key := env.VaultAddr + "/v1/transit/keys/quote"
	must(t, http.MethodPut, key, env.VaultToken, map[string]string{"type": "ecdsa-p256"}, nil)
	must(t, http.MethodPut, env.ConsulAddr+"/v1/kv/countersign/x", "", "kept", nil)
	runJob(t, env, "quote")
	for _, s := range status(t, dir).Servers {
		t.Logf("%-8s %4d MiB resident", s.Name, s.ResidentBytes>>20)
	}

	before := status(t, dir)
	again := up(t, dir)
	if !reflect.DeepEqual(again, env) {
		t.Errorf("the second up says\n%+v, the first\n%+v", again, env)
	}
	for i, s := range status(t, dir).Servers {
		if s.PID != before.Servers[i].PID {
			t.Errorf("the second up restarted %s, which served", s.Name)
		}
	}

	down(t, dir, false)
	resumed := up(t, dir)
	if !reflect.DeepEqual(resumed, env) {
		t.Errorf("after down, up says\n%+v, before\n%+v", resumed, env)
	}
	must(t, http.MethodGet, key, env.VaultToken, nil, nil)
	must(t, http.MethodGet, env.ConsulAddr+"/v1/kv/countersign/x", "", nil, nil)
	waitRunning(t, env, "quote")

	down(t, dir, true)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("purge left the directory: %v", err)
	}
}

// TestSideBySide runs two clusters: taking one down does not touch the other.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	dirs := []string{newDir(t), newDir(t)}
	envs := make([]*cluster.Env, len(dirs))
	for i, dir := range dirs {
		envs[i] = up(t, dir)
		runJob(t, envs[i], "tax")
	}
	allocation := waitRunning(t, envs[1], "tax")
	down(t, dirs[0], true)
	if s := status(t, dirs[1]); !s.Healthy() {
		t.Errorf("the other cluster is not healthy: %+v", s.Servers)
	}
	if now := waitRunning(t, envs[1], "tax"); now != allocation {
		t.Errorf("the other cluster's allocation was %s and is %s", allocation, now)
	}
	down(t, dirs[1], true)
}

// TestDriver brings a cluster up that can run functions, with the driver built from this checkout. The same driver is
// no reason to restart Nomad, and another is.
func TestDriver(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	o := cluster.Options{Dir: dir}
	first := upWithDriver(t, o)
	installed, err := os.ReadFile(filepath.Join(dir, "plugins", "nomad-driver-countersign"))
	if err != nil {
		t.Fatal(err)
	}
	o.DriverBinary = filepath.Join(t.TempDir(), "driver")
	if err := os.WriteFile(o.DriverBinary, installed, 0o755); err != nil {
		t.Fatal(err)
	}
	if again := upWithDriver(t, o); again != first {
		t.Errorf("Nomad was process %d and is %d", first, again)
	}
	// Bytes after the end of an ELF file change nothing but its digest.
	if err := os.WriteFile(o.DriverBinary, append(installed, "another"...), 0o755); err != nil {
		t.Fatal(err)
	}
	if other := upWithDriver(t, o); other == first {
		t.Error("Nomad still runs with the driver from before")
	}
	down(t, dir, true)
}

// upWithDriver brings the cluster up, looks at the driver and returns the process of Nomad.
func upWithDriver(t *testing.T, o cluster.Options) int {
	t.Helper()
	env, err := cluster.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []struct {
		Drivers map[string]struct{ Detected, Healthy bool }
	}
	must(t, http.MethodGet, env.NomadAddr+"/v1/nodes", "", nil, &nodes)
	if len(nodes) != 1 || !nodes[0].Drivers["countersign"].Healthy || nodes[0].Drivers["raw_exec"].Detected {
		t.Errorf("nodes are %+v", nodes)
	}
	return pidOf(t, o.Dir, "nomad")
}

// TestTakenPorts resumes a cluster whose ports have been taken by others meanwhile.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	must(t, http.MethodPut, env.VaultAddr+"/v1/transit/keys/fx", env.VaultToken, map[string]string{"type": "ed25519"}, nil)
	runJob(t, env, "fx")
	down(t, dir, false)
	for _, url := range []string{env.VaultAddr, env.ConsulAddr, env.NomadAddr, "http://" + env.Registry} {
		l, err := net.Listen("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	moved := up(t, dir)
	if moved.VaultAddr == env.VaultAddr || moved.NomadAddr == env.NomadAddr || moved.ConsulAddr == env.ConsulAddr ||
		moved.Registry == env.Registry {
		t.Errorf("addresses %+v are taken", moved)
	}
	must(t, http.MethodGet, moved.VaultAddr+"/v1/transit/keys/fx", moved.VaultToken, nil, nil)
	waitRunning(t, moved, "fx")
	down(t, dir, true)
}

// TestSecretsStayInTheirPlace looks for Vault's root token and unseal key, and for the operator's token, outside of it.
func TestSecretsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	keys, err := os.ReadFile(filepath.Join(dir, "secrets", "vault.json"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(string(keys), `"`)
	unseal, root := fields[3], fields[7]
	if root == env.VaultToken || len(root) < 20 || len(unseal) < 20 {
		t.Fatalf("root token and unseal key are %d and %d bytes", len(root), len(unseal))
	}
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		rel := strings.TrimPrefix(path, dir+"/")
		if err != nil || e.IsDir() || !e.Type().IsRegular() || strings.HasPrefix(rel, "secrets/") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(data), root) || strings.Contains(string(data), unseal) {
			t.Errorf("%s holds a secret of Vault", rel)
		}
		if strings.Contains(string(data), env.VaultToken) && rel != "env" {
			t.Errorf("%s holds the operator's token", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		"secrets": 0o700, "secrets/vault.json": 0o600, "secrets/operator.json": 0o600, "env": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	down(t, dir, true)
}

// TestDownWithAHangingNomad takes a cluster down whose Nomad accepts connections and answers none.
func TestDownWithAHangingNomad(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	runJob(t, up(t, dir), "quote")
	stop(t, pidOf(t, dir, "nomad"))
	start := time.Now()
	down(t, dir, true)
	if d := time.Since(start); d > 45*time.Second {
		t.Errorf("it took %v", d)
	}
}
