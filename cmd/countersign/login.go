package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"time"

	vault "github.com/hashicorp/vault/api"

	"countersign/client"
	"countersign/discovery"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

const (
	loginArgs     = "[flags]"
	loginSummary  = "get a client identity from Vault and keep it for a while, for `countersign call`"
	logoutArgs    = "[flags]"
	logoutSummary = "remove the client identity that `countersign login` keeps"
	defaultTTL    = time.Hour
)

func init() {
	register(command{"login", loginArgs, loginSummary, login})
	register(command{"logout", logoutArgs, logoutSummary, logout})
}

// identityOptions are the flags of verbs that act as a client.
type identityOptions struct{ name, trustDomain, pkiMount string }

func (o *identityOptions) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.name, "as", clientName(), "`name` of the client identity")
	o.trustDomainFlag(fs)
	fs.StringVar(&o.pkiMount, "pki-mount", "pki", "`path` of Vault's PKI mount for call certificates")
}

func (o *identityOptions) trustDomainFlag(fs *flag.FlagSet) {
	fs.StringVar(&o.trustDomain, "trust-domain", envOr("COUNTERSIGN_TRUST_DOMAIN", "countersign.local"), "SPIFFE trust domain `name`")
}

// id is the client identity that the flags name.
func (o *identityOptions) id() (identity.ID, error) {
	id, err := identity.ClientID(o.trustDomain, o.name)
	if err != nil {
		return identity.ID{}, &usageError{fmt.Sprintf("-as %q: %v", o.name, err)}
	}
	return id, nil
}

// file is where a login with these flags is kept.
func (o *identityOptions) file(vaultAddress string) (string, error) {
	file, err := client.LoginFile(o.trustDomain, vaultAddress)
	if err != nil {
		return "", &usageError{fmt.Sprintf("-trust-domain %q: %v", o.trustDomain, err)}
	}
	return file, nil
}

func login(ctx context.Context, s streams, args []string) error {
	flagSet := flags(s, "login", loginArgs, loginSummary)
	var o identityOptions
	o.flags(flagSet)
	ttl := flagSet.Duration("ttl", defaultTTL, "how long the identity is to be valid; Vault's PKI role may allow less")
	rest, err := parse(flagSet, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 0:
		return &usageError{"want no arguments"}
	case *ttl < time.Minute:
		return &usageError{fmt.Sprintf("-ttl %s is less than a minute", *ttl)}
	}
	id, err := o.id()
	if err != nil {
		return err
	}
	v, err := discovery.Vault()
	if err != nil {
		return err
	}
	file, err := o.file(discovery.VaultAddress())
	if err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	got, err := o.issue(s.patient(ctx, "login"), v, private, id, *ttl)
	if err != nil {
		return err
	}
	if err := client.SaveLogin(file, private, got); err != nil {
		return err
	}
	if valid := time.Until(got.Identity.Certificate.NotAfter); valid < *ttl-time.Minute {
		fmt.Fprintf(s.err, "countersign login: Vault's PKI role %q allows less than -ttl %s\n", issue.ClientRole, *ttl)
	}
	fmt.Fprintf(s.out, "logged in as %s until %s\n", id, got.Identity.Certificate.NotAfter.Local().Format(time.DateTime+" MST"))
	return nil
}

// issue has a key certified by Vault, and fetches what verifies functions.
func (o *identityOptions) issue(
	ctx context.Context, v *vault.Client, private ed25519.PrivateKey, id identity.ID, ttl time.Duration,
) (*client.Login, error) {
	key, err := identity.CallKeyFrom(private)
	if err != nil {
		return nil, err
	}
	got := &client.Login{}
	if got.Identity, err = issue.ClientOf(ctx, v, o.pkiMount, key, id, ttl); err != nil {
		return nil, fmt.Errorf("getting a certificate for client %q: %w", o.name, err)
	}
	got.Trust, err = issue.FetchBundle(ctx, issue.Config{Address: v.Address(), Namespace: v.Namespace(),
		CACert: os.Getenv("VAULT_CACERT"), PKIMount: o.pkiMount}, o.trustDomain)
	if err != nil {
		return nil, err
	}
	if _, err := got.Trust.Verify(got.Identity.Certificate.DER, time.Now()); err != nil {
		return nil, fmt.Errorf("the certificate that Vault issued for client %q is refused: %w", o.name, err)
	}
	return got, nil
}

func logout(_ context.Context, s streams, args []string) error {
	flagSet := flags(s, "logout", logoutArgs, logoutSummary)
	var o identityOptions
	o.trustDomainFlag(flagSet)
	rest, err := parse(flagSet, args)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return &usageError{"want no arguments"}
	}
	file, err := o.file(discovery.VaultAddress())
	if err != nil {
		return err
	}
	err = client.RemoveLogin(file)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(s.out, "not logged in")
		return nil
	}
	if err == nil {
		fmt.Fprintln(s.out, "logged out")
	}
	return err
}

// clientName is the client that the person who calls is, unless -as says otherwise.
func clientName() string {
	u, err := user.Current()
	if err != nil {
		return identity.ClientNameOf("")
	}
	return identity.ClientNameOf(u.Username)
}

func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}
