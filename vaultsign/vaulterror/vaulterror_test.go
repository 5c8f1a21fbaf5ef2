package vaulterror

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

func TestClassify(t *testing.T) {
	for name, tt := range map[string]struct {
		err         error
		unreachable bool
		denied      bool
		says        string
	}{
		"no answer":   {errors.New("connection refused"), true, false, "could not be reached"},
		"sealed":      {&api.ResponseError{StatusCode: 503, Errors: []string{"Vault is sealed"}}, true, false, "Vault is sealed; `vault operator unseal`"},
		"standby":     {&api.ResponseError{StatusCode: 473}, true, false, "could not be reached"},
		"denied":      {&api.ResponseError{StatusCode: 403}, false, true, "refuses pki/sign"},
		"a bad token": {&api.ResponseError{StatusCode: 401}, false, true, "refuses pki/sign"},
		"nonsense":    {&api.ResponseError{StatusCode: 400, Errors: []string{"no such role"}}, false, false, "no such role"},
		"interrupted": {context.Canceled, false, false, "canceled"},
	} {
		err := Classify("certify a key", "pki/sign", tt.err)
		var unreachable *UnreachableError
		var denied *DeniedError
		if errors.As(err, &unreachable) != tt.unreachable || errors.As(err, &denied) != tt.denied ||
			!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "certify a key") || !errors.Is(err, tt.err) {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
}
