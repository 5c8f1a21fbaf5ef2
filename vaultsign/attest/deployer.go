package attest

import (
	"errors"
	"fmt"

	"countersign/vaultsign/keyring"
)

// Deployer is the person or program whose Vault token had an attestation signed, as Vault names it. Whoever may sign can
// state anybody: Vault's audit log has who it was.
type Deployer struct {
	Entity      string // name of the entity, "" if the token belongs to none
	EntityID    string // of the entity, which it keeps when it is renamed
	DisplayName string // of the token: login method and name, such as oidc-alice
}

// Name is the shortest that tells people who it is: the entity's name, or that of the token.
func (d Deployer) Name() string {
	if d.Entity != "" {
		return d.Entity
	}
	return d.DisplayName
}

// Stated tells whether there is a deployer at all: earlier versions did not state one.
func (d Deployer) Stated() bool { return d != Deployer{} }

// SignedAgain says that an attestation repeats another one of the same artifact, which verified at that time, under a
// later version of the key. What it states of the build is what that one stated.
type SignedAgain struct {
	Key string   // key and version of the attestation that is repeated: hashivault://<mount>/<function>:v<version>
	By  Deployer // who had it signed again
}

// Again are the claims that repeat an attestation under another version of its key.
func (a *Attestation) Again(by Deployer) Claims {
	c := a.Claims
	c.SignedAgain = SignedAgain{Key: a.Key.String(), By: by}
	return c
}

// check tells what is wrong with a deployer that is stated.
func (d Deployer) check() error {
	for _, text := range []string{d.Entity, d.EntityID, d.DisplayName} {
		if text != "" && !isText(text) {
			return fmt.Errorf("%.80q is no name of who deployed: it is too long or unprintable", text)
		}
	}
	if d.Entity != "" && d.EntityID == "" {
		return errors.New("who deployed is an entity without an ID")
	}
	return nil
}

// check tells what is wrong with a repetition of function's attestation.
func (s SignedAgain) check(function string) error {
	if s == (SignedAgain{}) {
		return nil
	}
	id, err := keyring.ParseKeyID(s.Key)
	if err != nil {
		return fmt.Errorf("the attestation that is repeated: %w", err)
	}
	if id.Function != function {
		return fmt.Errorf("the attestation that is repeated is one of function %q", id.Function)
	}
	if !s.By.Stated() {
		return errors.New("an attestation is repeated, and by whom is not stated")
	}
	return s.By.check()
}

// The wire form.
type (
	deployer struct {
		Entity      string `json:"entity,omitempty"`
		EntityID    string `json:"entityId,omitempty"`
		DisplayName string `json:"displayName,omitempty"`
	}
	signedAgain struct {
		Key string   `json:"key"`
		By  deployer `json:"by"`
	}
)

// wire returns nil for a deployer that is not stated.
func (d Deployer) wire() *deployer {
	if !d.Stated() {
		return nil
	}
	return &deployer{d.Entity, d.EntityID, d.DisplayName}
}

// wire returns nil for an attestation that repeats none.
func (s SignedAgain) wire() *signedAgain {
	if s == (SignedAgain{}) {
		return nil
	}
	return &signedAgain{s.Key, deployer{s.By.Entity, s.By.EntityID, s.By.DisplayName}}
}

// deployer reads who deployed, which need not be there. What is there must say something.
func (r *reader) deployer(parent object, name string) Deployer {
	if _, there := parent[name]; !there {
		return Deployer{}
	}
	o := r.object(parent, name)
	d := Deployer{Entity: r.optional(o, "entity"), EntityID: r.optional(o, "entityId"),
		DisplayName: r.optional(o, "displayName")}
	if !d.Stated() {
		r.fail("%s says nothing", name)
	}
	return d
}

// signedAgain reads which attestation is repeated, if one is.
func (r *reader) signedAgain(parent object) SignedAgain {
	if _, there := parent["signedAgain"]; !there {
		return SignedAgain{}
	}
	o := r.object(parent, "signedAgain")
	r.object(o, "by") // it must be there
	return SignedAgain{Key: r.text(o, "key"), By: r.deployer(o, "by")}
}
