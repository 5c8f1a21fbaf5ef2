package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"countersign/strictjson"
)

// vaultKeys open the cluster's Vault. They are in secrets/vault.json, readable by the owner only, because a local
// cluster has to start by itself; a real one must not do this.
type vaultKeys struct {
	UnsealKey string `json:"unseal_key"`
	RootToken string `json:"root_token"`
}

func (d dir) keysFile() string { return d.path("secrets", "vault.json") }

// initMark exists from before Vault is initialised until its keys are kept.
func (d dir) initMark() string { return d.path("secrets", "vault-initialising") }

// keys reads the keys; os.ErrNotExist if Vault was not initialised.
func (d dir) keys() (vaultKeys, error) {
	var k vaultKeys
	data, err := os.ReadFile(d.keysFile())
	if err == nil {
		err = strictjson.DecodeOpen(data, &k)
	}
	if err != nil {
		return vaultKeys{}, fmt.Errorf("keys of Vault: %w", err)
	}
	return k, nil
}

// vaultHealth is what Vault tells about itself.
type vaultHealth struct {
	Initialized bool   `json:"initialized"`
	Sealed      bool   `json:"sealed"`
	Standby     bool   `json:"standby"`
	ClusterName string `json:"cluster_name"`
}

func askVault(ctx context.Context, client rest) (h vaultHealth, err error) {
	// Ask for success whatever the state is, because the body tells it.
	err = client.get(ctx, "/v1/sys/health?uninitcode=200&sealedcode=200&standbycode=200", &h)
	return h, err
}

// vaultServes tells whether it is this cluster's Vault and it can be used.
func vaultServes(ctx context.Context, _ dir, s *state) error {
	client := rest{base: s.address("vault")}
	h, err := askVault(ctx, client)
	switch {
	case err != nil:
		return err
	case !h.Initialized:
		return errors.New("it is not initialised")
	case h.Sealed:
		return errors.New("it is sealed")
	case h.Standby:
		return errors.New("it is not active yet")
	case h.ClusterName != s.node():
		return fmt.Errorf("another Vault, %q, answers at %s", h.ClusterName, client.base)
	}
	return nil
}

// openVault initialises and unseals Vault as needed.
func (u *bringUp) openVault(ctx context.Context) error {
	client := rest{base: u.address("vault")}
	h, err := askVault(ctx, client)
	if err != nil {
		return err
	}
	if !h.Initialized {
		if err := u.initVault(ctx, client); err != nil {
			return err
		}
	} else if !h.Sealed {
		return nil
	}
	keys, err := u.dir.keys()
	if err != nil {
		return &brokenError{fmt.Errorf("what unseals the data of Vault is gone: %w", err)}
	}
	if err := client.put(ctx, "/v1/sys/unseal", map[string]string{"key": keys.UnsealKey}, nil); err != nil {
		return fmt.Errorf("unseal Vault: %w", err)
	}
	return nil
}

// initVault makes the keys of a new Vault and keeps them before anything is stored with them.
func (u *bringUp) initVault(ctx context.Context, client rest) error {
	if _, err := os.Stat(u.dir.keysFile()); err == nil {
		return &brokenError{fmt.Errorf("there are keys of Vault in %s, and Vault's data is gone: "+
			"`countersign cluster down -purge` and start afresh", u.dir.keysFile())}
	}
	if err := writeFile(u.dir.initMark(), nil, 0o600); err != nil {
		return &brokenError{fmt.Errorf("secrets directory: %w", err)}
	}
	var answer struct {
		Keys      []string `json:"keys_base64"`
		RootToken string   `json:"root_token"`
	}
	shares := map[string]int{"secret_shares": 1, "secret_threshold": 1}
	// Not to be interrupted: the answer comes once.
	if err := client.put(context.WithoutCancel(ctx), "/v1/sys/init", shares, &answer); err != nil {
		return fmt.Errorf("initialise Vault: %w", err)
	}
	if len(answer.Keys) != 1 || answer.RootToken == "" {
		return &brokenError{fmt.Errorf("initialise Vault: it gave %d keys", len(answer.Keys))}
	}
	data, err := json.MarshalIndent(vaultKeys{answer.Keys[0], answer.RootToken}, "", "  ")
	if err == nil {
		err = writeFile(u.dir.keysFile(), append(data, '\n'), 0o600)
	}
	if err != nil {
		return &brokenError{fmt.Errorf("keep the keys of Vault: %w", err)}
	}
	return os.Remove(u.dir.initMark())
}

// dropHalfMadeVault removes the storage of a Vault whose keys were never kept because the command was killed at that
// moment. Nothing can be in it.
func (d dir) dropHalfMadeVault() error {
	if _, err := os.Stat(d.initMark()); err != nil {
		return nil
	}
	if _, err := os.Stat(d.keysFile()); err == nil {
		return os.Remove(d.initMark())
	}
	return errors.Join(os.RemoveAll(d.path("data", "vault")), os.Remove(d.initMark()))
}

// vaultData is the envelope of Vault's answers.
type vaultData[T any] struct {
	Data T `json:"data"`
}

// isNotFound tells whether a server answered that there is no such thing.
func isNotFound(err error) bool {
	var e *statusError
	return errors.As(err, &e) && e.code == http.StatusNotFound
}
