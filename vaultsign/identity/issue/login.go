package issue

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/identity"
)

const (
	// Of a thousand logins with a valid workload identity, a few are answered with 403 (nomad#20099). So a no is
	// believed at the fourth time only.
	deniedTries      = 4
	unreachableTries = 6
	firstDelay       = 250 * time.Millisecond
)

// MaxJWT is how many bytes a workload identity may have.
const MaxJWT = 64 << 10

// Login is an allocation's login to Vault. It lives as long as its token; Close ends it.
type Login struct {
	config Config
	client *api.Client
	batch  bool // batch tokens cannot be revoked; they end by themselves
}

// LogIn logs in with the JWT that jwt returns. It is asked anew at each try, because Nomad renews it. LogIn returns a
// *DeniedError when Vault said no repeatedly, an *UnreachableError when Vault did not answer.
func LogIn(ctx context.Context, config Config, jwt func() ([]byte, error)) (*Login, error) {
	if err := config.check("auth mount", "auth role", "PKI mount", "PKI role"); err != nil {
		return nil, err
	}
	client, err := config.Client()
	if err != nil {
		return nil, err
	}
	l := &Login{config: config, client: client}
	if err := retry(ctx, func() error { return l.once(ctx, jwt) }); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Login) once(ctx context.Context, read func() ([]byte, error)) error {
	jwt, err := readJWT(read)
	if err != nil {
		return err
	}
	op, path := "log in to Vault with the workload identity", "auth/"+l.config.AuthMount+"/login"
	secret, err := l.client.Logical().WriteWithContext(ctx, path, map[string]any{
		"role": l.config.AuthRole, "jwt": jwt,
	})
	if err != nil {
		return classify(op, path, err)
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return &UnreachableError{Op: op, Err: errors.New("the answer has no token")}
	}
	l.client.SetToken(secret.Auth.ClientToken)
	l.batch = secret.Auth.Accessor == ""
	return nil
}

// readJWT reads the workload identity. Its content must not get into errors.
func readJWT(read func() ([]byte, error)) (string, error) {
	if read == nil {
		return "", errors.New("read the workload identity: there is none")
	}
	data, err := read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the workload identity: %w; the task needs `identity { file = true }`", err)
	case err != nil:
		return "", fmt.Errorf("read the workload identity: %w", err)
	case len(data) > MaxJWT:
		return "", fmt.Errorf("read the workload identity: it has %d bytes; at most %d", len(data), MaxJWT)
	}
	jwt := strings.TrimSpace(string(data))
	if jwt == "" {
		return "", errors.New("read the workload identity: it is empty")
	}
	return jwt, nil
}

// retry tries again, with growing pauses, while Vault does not answer, and a few times when it says no.
func retry(ctx context.Context, try func() error) error {
	delay := firstDelay
	for n := 1; ; n++ {
		err := try()
		var denied *DeniedError
		var unreachable *UnreachableError
		switch {
		case errors.As(err, &denied) && n < deniedTries, errors.As(err, &unreachable) && n < unreachableTries:
		default:
			return err
		}
		// Up to half as long again, so that a node's allocations do not come back together.
		timer := time.NewTimer(delay + rand.N(delay/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		delay *= 2
	}
}

// Client returns the Vault client with the login's token, for reading public keys. Do not change it.
func (l *Login) Client() *api.Client { return l.client }

// Issue makes a fresh call key and has it certified for id. Whether the certificate chains to the trust bundle is for
// the caller to verify.
func (l *Login) Issue(ctx context.Context, id identity.ID) (*identity.Identity, error) {
	var issued *identity.Identity
	err := retry(ctx, func() error {
		key, err := identity.NewCallKey()
		if err != nil {
			return err
		}
		issued, err = sign(ctx, l.client, l.config.PKIMount+"/sign/"+l.config.PKIRole, key, id, 0)
		return err
	})
	return issued, err
}

// Close revokes the token. A batch token cannot be revoked and ends by itself.
func (l *Login) Close(ctx context.Context) error {
	if l.batch || l.client.Token() == "" {
		return nil
	}
	path := "auth/token/revoke-self"
	if _, err := l.client.Logical().WriteWithContext(ctx, path, nil); err != nil {
		return classify("revoke the token of a login to Vault", path, err)
	}
	l.client.ClearToken()
	return nil
}

// sign has a call key certified. The key is not sent. ttl 0 is the PKI role's.
func sign(
	ctx context.Context, client *api.Client, path string, key *identity.CallKey, id identity.ID, ttl time.Duration,
) (*identity.Identity, error) {
	op := fmt.Sprintf("get a certificate for %s", id)
	csr, err := key.CSR(id)
	if err != nil {
		return nil, err
	}
	request := map[string]any{"csr": string(csr), "format": "pem", "uri_sans": id.String(), "exclude_cn_from_sans": true}
	if name, ok := id.Function(); ok {
		// Vault matches URI SANs as globs: that a job named q* is not certified as quote hangs on the common name, which
		// the role for functions compares with the job's ID and takes for a host name.
		request["common_name"] = name
	}
	if ttl > 0 {
		request["ttl"] = ttl.String()
	}
	secret, err := client.Logical().WriteWithContext(ctx, path, request)
	if err != nil {
		return nil, classify(op, path, err)
	}
	text := ""
	if secret != nil {
		text, _ = secret.Data["certificate"].(string)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, &UnreachableError{Op: op, Err: errors.New("the answer has no certificate")}
	}
	issued, err := identity.NewIdentity(key, block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if issued.ID() != id {
		return nil, fmt.Errorf("%s: %w", op, &identity.CertificateError{
			Reason: identity.ReasonWrongID, ID: issued.ID(), Message: "Vault certified another identity",
		})
	}
	return issued, nil
}
