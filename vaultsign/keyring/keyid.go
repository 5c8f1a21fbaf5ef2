package keyring

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"countersign"
)

// keyIDScheme is the URI scheme by which sigstore's tools name keys of Vault's transit engine.
const keyIDScheme = "hashivault://"

// maxMount bounds the path of a transit mount, in bytes.
const maxMount = 128

var mountPath = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)

// KeyID names one version of one function's artifact key. Its text form is hashivault://<mount>/<function>:v<version>,
// for example hashivault://transit/quote:v3.
type KeyID struct {
	Mount    string // path of the transit mount, without slashes at its ends
	Function string // the key's name
	Version  int    // 1 or more
}

// String returns the text form.
func (k KeyID) String() string {
	return keyIDScheme + k.Mount + "/" + k.Function + ":v" + strconv.Itoa(k.Version)
}

// ParseKeyID reads the text form. There is one spelling per key version: what ParseKeyID accepts, String gives back
// byte for byte.
func ParseKeyID(s string) (KeyID, error) {
	rest, ok := strings.CutPrefix(s, keyIDScheme)
	slash, colon := strings.LastIndexByte(rest, '/'), strings.LastIndex(rest, ":v")
	if !ok || slash < 0 || colon < slash {
		return KeyID{}, fmt.Errorf("key id %.200q is not of the form hashivault://<mount>/<function>:v<version>", s)
	}
	version, err := strconv.Atoi(rest[colon+2:])
	if err != nil {
		return KeyID{}, fmt.Errorf("key id %.200q: the version is not a number", s)
	}
	id := KeyID{Mount: rest[:slash], Function: rest[slash+1 : colon], Version: version}
	if err := CheckMount(id.Mount); err != nil {
		return KeyID{}, fmt.Errorf("key id %.200q: %w", s, err)
	}
	if err := CheckFunction(id.Function); err != nil {
		return KeyID{}, fmt.Errorf("key id %.200q: %w", s, err)
	}
	if version < 1 || id.String() != s {
		return KeyID{}, fmt.Errorf("key id %.200q: the version is not a plain number from 1", s)
	}
	return id, nil
}

// CheckFunction tells what is wrong with the name of a function, which is also the name of its key.
func CheckFunction(name string) error {
	if !countersign.ValidName(name) {
		return fmt.Errorf("%.80q is not a function name: use %s", name, countersign.NameForm)
	}
	return nil
}

// CheckMount tells what is wrong with the path of a secrets engine's mount.
func CheckMount(mount string) error {
	dots := strings.Contains("/"+mount+"/", "/./") || strings.Contains("/"+mount+"/", "/../")
	if len(mount) > maxMount || dots || !mountPath.MatchString(mount) {
		return fmt.Errorf("%.80q is not the path of a Vault mount: write it as in `vault secrets list`, without slashes "+
			"at its ends", mount)
	}
	return nil
}
