package client

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"countersign/vaultsign/identity"
)

// Login is a client identity that a person keeps in a file for a while, with what verifies functions. The file holds
// the private key, its certificate and the trust bundle, in this order, as PEM.
type Login struct {
	Identity *identity.Identity
	Trust    *identity.Bundle
}

// maxLogin bounds the file of a Login.
const maxLogin = identity.MaxBundle + 64<<10

// LoginFile returns the file for logins to a Vault and a trust domain, below the user's state directory (XDG Base
// Directory Specification).
func LoginFile(trustDomain, vaultAddress string) (string, error) {
	if err := identity.CheckTrustDomain(trustDomain); err != nil {
		return "", err
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // the specification wants relative ones ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("looking for a place to keep a login: %w", err)
		}
		dir = filepath.Join(home, ".local", "state")
	}
	sum := sha256.Sum256([]byte(vaultAddress))
	return filepath.Join(dir, "countersign", trustDomain+"-"+hex.EncodeToString(sum[:8])+".pem"), nil
}

// OnlyLogin returns the file of the login to a trust domain, if there is one and no other, "" otherwise: with one, nobody has
// to say which Vault it came from.
func OnlyLogin(trustDomain string) string {
	file, err := LoginFile(trustDomain, "")
	if err != nil {
		return ""
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(file), trustDomain+"-????????????????.pem"))
	if err != nil || len(found) != 1 {
		return ""
	}
	return found[0]
}

// SaveLogin writes a login into a file, whose directory it makes: all of it or, if that fails, nothing.
func SaveLogin(file string, private ed25519.PrivateKey, login *Login) error {
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: key},
		{Type: "CERTIFICATE", Bytes: login.Identity.Certificate.DER}} {
		if err := pem.Encode(&text, block); err != nil {
			return fmt.Errorf("keeping the login: %w", err)
		}
	}
	text.Write(login.Trust.PEM())
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	if err := replaceFile(file, text.Bytes()); err != nil {
		return fmt.Errorf("keeping the login: %w", err)
	}
	return nil
}

// replaceFile makes a file that nobody else may read, whatever was there before. Who reads it finds the old content
// or the new one, also after a crash.
func replaceFile(file string, data []byte) error {
	f, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing after the rename
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// LoadLogin reads a login of a trust domain. It is an fs.ErrNotExist if there is none. One that others may read, or
// whose certificate the bundle does not verify, is an error; whether its time is over is for the caller to check.
func LoadLogin(file, trustDomain string) (*Login, error) {
	text, err := readPrivate(file)
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	login, err := parseLogin(text, trustDomain)
	if err != nil {
		return nil, fmt.Errorf("reading the login %s (`countersign logout` removes it): %w", file, err)
	}
	return login, nil
}

// readPrivate reads a file that must be the user's, and readable by nobody else.
func readPrivate(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", file)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o: others may have read the key in it; log in anew", file, info.Mode().Perm())
	case !ok || int(owner.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s belongs to another user", file)
	case info.Size() > maxLogin:
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxLogin)
	}
	return io.ReadAll(io.LimitReader(f, maxLogin))
}

func parseLogin(text []byte, trustDomain string) (*Login, error) {
	block, rest := pem.Decode(text)
	certificate, bundle := pem.Decode(rest)
	if block == nil || block.Type != "PRIVATE KEY" || certificate == nil || certificate.Type != "CERTIFICATE" {
		return nil, errors.New("it does not hold a private key and its certificate")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("its private key is not an Ed25519 key")
	}
	key, err := identity.CallKeyFrom(private)
	if err != nil {
		return nil, err
	}
	login := &Login{}
	if login.Identity, err = identity.NewIdentity(key, certificate.Bytes); err != nil {
		return nil, err
	}
	if login.Trust, err = identity.ParseBundle(trustDomain, bundle); err != nil {
		return nil, err
	}
	// At a time at which it was valid.
	if _, err := login.Trust.Verify(certificate.Bytes, login.Identity.Certificate.NotBefore.Add(time.Second)); err != nil {
		return nil, err
	}
	if login.Identity.ID().Kind() != identity.KindClient {
		return nil, fmt.Errorf("it is the identity of %s, not of a client", login.Identity.ID())
	}
	return login, nil
}

// RemoveLogin removes the file of a login. It is an fs.ErrNotExist if there is none.
func RemoveLogin(file string) error {
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("removing the login: %w", err)
	}
	return nil
}
