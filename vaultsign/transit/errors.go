package transit

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/vaulterror"
)

// ErrNoKey says that Vault has no key of a function: it was never deployed, or the mount is another one.
var ErrNoKey = errors.New("no such key in Vault; the first deploy of a function makes it")

// UnreachableError says that Vault gave no answer of its own: trying again may help.
type UnreachableError = vaulterror.UnreachableError

// DeniedError says that Vault answered with a no: the token is missing, has ended, or its policies do not allow it.
type DeniedError = vaulterror.DeniedError

// classify tells a missing key from what vaulterror.Classify tells apart. err is not nil.
func classify(op, path string, err error) error {
	var response *api.ResponseError
	if errors.As(err, &response) && response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w (is the transit engine mounted where %s says?): %w", op, ErrNoKey, path, err)
	}
	return vaulterror.Classify(op, path, err)
}
