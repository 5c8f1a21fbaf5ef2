package callsig

import (
	"net/http"

	"countersign/vaultsign/identity"
)

// AuthorityOf returns the authority of a request as a signature base has it: the host in lower case, and the port
// unless it is the scheme's (RFC 9421 section 2.2.3).
func AuthorityOf(r *http.Request) string { return requestSource{r}.authority() }

// VerifyForwarded is VerifyRequest for a call that another node, which had to check the authority, passed on. The
// request's URL must have the scheme with which the call came to that node.
func (v *Verifier) VerifyForwarded(r *http.Request, body []byte, callee identity.ID) (*SignedCall, error) {
	return v.verifyRequest(r, body, callee, nil)
}

// checkAuthority refuses a call that was signed for another node than this one: somebody carried it here.
func (r *received) checkAuthority(request *http.Request, own func(authority string) bool) error {
	if own == nil {
		return nil
	}
	for i := range r.components {
		switch r.components[i].name {
		case "@authority", "@target-uri", "host":
			if authority := AuthorityOf(request); !own(authority) {
				return refuse(ReasonWrongCallee, "the call is for node %.80q, which is no name of this one", authority)
			}
			return nil
		}
	}
	return nil
}
