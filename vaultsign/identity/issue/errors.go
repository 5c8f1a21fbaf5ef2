package issue

import (
	"errors"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/vaulterror"
)

// UnreachableError says that Vault gave no answer of its own: trying again may help.
type UnreachableError = vaulterror.UnreachableError

// DeniedError says that Vault answered with a no: the JWT or the token is not accepted, or may not do this.
type DeniedError = vaulterror.DeniedError

// classify is vaulterror.Classify, but for logins and certificates, where Vault says no with a bad request as well. err is
// not nil.
func classify(op, path string, err error) error {
	classified := vaulterror.Classify(op, path, err)
	var response *api.ResponseError
	var unreachable *UnreachableError
	if errors.As(err, &response) && !errors.As(classified, &unreachable) {
		return &DeniedError{Op: op, Path: path, Err: err}
	}
	return classified
}
