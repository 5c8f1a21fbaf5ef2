package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/user"

	"countersign/strictjson"
	"countersign/vaultsign/identity"
)

// LocalName is the client that the user of this machine is in a local cluster.
func LocalName() string {
	u, err := user.Current()
	if err != nil {
		return identity.ClientNameOf("")
	}
	return identity.ClientNameOf(u.Username)
}

// PersonToken returns a token of Vault with which somebody is certified as the client of a name, and can do nothing else.
// It is for local clusters, whose root token is in a file.
func PersonToken(ctx context.Context, path, name string) (string, error) {
	d, err := open(path)
	if err != nil {
		return "", err
	}
	s, err := d.load()
	if err != nil {
		return "", err
	}
	keys, err := d.keys()
	if err != nil {
		return "", err
	}
	token, err := makeToken(ctx, rest{base: s.address("vault"), token: keys.RootToken}, name, personPolicy)
	if err != nil {
		return "", fmt.Errorf("token of Vault for client %q: %w", name, err)
	}
	return token, nil
}

// makeToken makes a token with policies for the entity of a name, which it makes if it is missing.
func makeToken(ctx context.Context, client rest, name string, policies ...string) (string, error) {
	if _, err := identity.ClientID("local", name); err != nil { // it becomes a part of paths
		return "", err
	}
	var mounts vaultData[map[string]struct{ Accessor string }]
	if err := client.get(ctx, "/v1/sys/auth", &mounts); err != nil {
		return "", err
	}
	accessor := mounts.Data["token/"].Accessor
	path := "/v1/identity/entity/name/" + url.PathEscape(name)
	if err := client.put(ctx, path, map[string]any{}, nil); err != nil {
		return "", err
	}
	var entity vaultData[struct{ ID string }]
	if err := client.get(ctx, path, &entity); err != nil {
		return "", err
	}
	alias := map[string]string{"name": name, "mount_accessor": accessor, "canonical_id": entity.Data.ID}
	if err := client.put(ctx, "/v1/identity/entity-alias", alias, nil); err != nil {
		return "", err
	}
	role := map[string]any{"allowed_policies": []string{pipelinePolicy, operatorPolicy, personPolicy}, "orphan": true,
		"token_period": developerPeriod, "token_no_default_policy": true, "allowed_entity_aliases": []string{"*"}}
	if err := client.put(ctx, "/v1/auth/token/roles/"+developerRole, role, nil); err != nil {
		return "", err
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	err := client.put(ctx, "/v1/auth/token/create/"+developerRole, map[string]any{
		"display_name": name, "policies": policies, "entity_alias": name,
	}, &answer)
	return answer.Auth.Token, err
}

// developer is what is kept of the token of whoever uses the cluster.
type developer struct {
	Token  string `json:"token"`
	Person string `json:"person"` // whose it is; a token of an older cluster is nobody's
}

// developerToken returns a token with which the user of this machine deploys, looks after keys and calls functions: the one
// that was made before, renewed, or a new one.
func (u *bringUp) developerToken(ctx context.Context, client rest) (string, error) {
	path, person := u.dir.path("secrets", "operator.json"), LocalName()
	var kept developer
	data, err := os.ReadFile(path)
	if err == nil && strictjson.DecodeOpen(data, &kept) == nil && kept.Token != "" && kept.Person == person {
		err := client.put(ctx, "/v1/auth/token/renew", map[string]string{"token": kept.Token}, nil)
		var refused *statusError
		if err == nil || !errors.As(err, &refused) {
			return kept.Token, err
		}
		switch refused.code {
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound: // it has ended
		default:
			return "", err
		}
	}
	kept.Person = person
	if kept.Token, err = makeToken(ctx, client, person, pipelinePolicy, operatorPolicy, personPolicy); err != nil {
		return "", err
	}
	if data, err = json.Marshal(kept); err == nil {
		err = writeFile(path, append(data, '\n'), 0o600)
	}
	return kept.Token, err
}
