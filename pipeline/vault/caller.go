package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"

	"countersign/hclspec"
	"countersign/strictjson"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/vaulterror"
)

// Caller asks Vault whose the token is with which this process signs: the entity that its login belongs to, and the name
// of the token itself. A token without an entity, such as a root token, has only the latter.
func Caller(ctx context.Context, env hclspec.Vault) (attest.Deployer, error) {
	c, err := client(env)
	if err != nil {
		return attest.Deployer{}, err
	}
	var token struct {
		EntityID    string `json:"entity_id"`
		DisplayName string `json:"display_name"`
	}
	if err := read(ctx, c, "auth/token/lookup-self", &token); err != nil {
		return attest.Deployer{}, err
	}
	d := attest.Deployer{EntityID: token.EntityID, DisplayName: token.DisplayName}
	if d.EntityID != "" {
		var entity struct {
			Name string `json:"name"`
		}
		if err := read(ctx, c, "identity/entity/id/"+d.EntityID, &entity); err != nil {
			return attest.Deployer{}, err
		}
		d.Entity = entity.Name
	}
	if !d.Stated() {
		return d, errors.New("ask Vault who deploys: it has no name for this token")
	}
	return d, nil
}

// read reads a path of Vault's that a token may read about itself.
func read(ctx context.Context, c *api.Client, path string, into any) error {
	const op = "ask Vault who deploys"
	secret, err := c.Logical().ReadWithContext(ctx, path)
	var response *api.ResponseError
	if errors.As(err, &response) && response.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%s: the token has ended, or its policy lacks `read` of %s, as docs/operations.md has it: %w", op, path,
			vaulterror.Classify(op, path, err))
	}
	if err != nil {
		return vaulterror.Classify(op, path, err)
	}
	if secret == nil || secret.Data == nil {
		return fmt.Errorf("%s: there is no %s", op, path)
	}
	return decode(op, secret.Data, into)
}

// decode turns the generic data of Vault's client into a struct.
func decode(op string, data map[string]any, into any) error {
	src, err := json.Marshal(data)
	if err == nil {
		err = strictjson.DecodeOpen(src, into)
	}
	if err != nil {
		return fmt.Errorf("%s: read Vault's answer: %w", op, err)
	}
	return nil
}
