package issue

import (
	"context"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/identity"
)

// ClientRole is the PKI role that certifies outside clients.
const ClientRole = "client"

// Client gets the identity of an outside client: spiffe://<trust domain>/client/<name>. vault has a token whose policy
// may update <pkiMount>/sign/client. ttl 0 is the PKI role's.
func Client(
	ctx context.Context, vault *api.Client, pkiMount string, id identity.ID, ttl time.Duration,
) (*identity.Identity, error) {
	key, err := identity.NewCallKey()
	if err != nil {
		return nil, err
	}
	return ClientOf(ctx, vault, pkiMount, key, id, ttl)
}

// ClientOf is Client for a key that the caller keeps.
func ClientOf(
	ctx context.Context, vault *api.Client, pkiMount string, key *identity.CallKey, id identity.ID, ttl time.Duration,
) (*identity.Identity, error) {
	config := Config{Address: vault.Address(), PKIMount: pkiMount, PKIRole: ClientRole}
	if err := config.check("PKI mount", "PKI role"); err != nil {
		return nil, err
	}
	return sign(ctx, vault, pkiMount+"/sign/"+ClientRole, key, id, ttl)
}
