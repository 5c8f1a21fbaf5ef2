package callsig

import (
	"net/http"

	"countersign/vaultsign/identity"
)

// AuthorityOf returns the authority of a request as a signature base has it: the host in lower case, and the port
// unless it is the scheme's (RFC 9421 section 2.2.3).
func AuthorityOf(r *http.Request) string { return requestSource{r}.authority() }

// VerifyExposed is VerifyRequest for a call that anybody on the way can have read: it must be signed for an authority
// that own accepts, and so for this node and no other.
func (v *Verifier) VerifyExposed(
	r *http.Request, body []byte, callee identity.ID, own func(authority string) bool,
) (*SignedCall, error) {
	return v.verifyRequest(r, body, callee, authorityRule{own, true, "which is not this one's own address"})
}

// VerifyForwarded is VerifyRequest for a call that another node, which had to check the authority, passed on. by tells
// whether an authority may be that of this other node. The request's URL must have the scheme with which the call came to
// that node.
func (v *Verifier) VerifyForwarded(
	r *http.Request, body []byte, callee identity.ID, by func(authority string) bool,
) (*SignedCall, error) {
	return v.verifyRequest(r, body, callee, authorityRule{by, false, "which is not the node that passed it on"})
}

// authorityRule says for whom a call may be signed.
type authorityRule struct {
	own    func(authority string) bool // nil: for anybody
	needed bool                        // the signature has to cover the authority
	not    string                      // what an authority is that own does not accept
}

// checkAuthority refuses a call that was signed for another node: somebody carried it here.
func (r *received) checkAuthority(request *http.Request, rule authorityRule) error {
	if rule.own == nil {
		return nil
	}
	for i := range r.components {
		switch r.components[i].name {
		case "@authority", "@target-uri", "host":
			if authority := AuthorityOf(request); !rule.own(authority) {
				return refuse(ReasonWrongCallee, "the call is for node %.80q, %s", authority, rule.not)
			}
			return nil
		}
	}
	if rule.needed {
		return refuse(ReasonMissingComponent, "the signature does not cover \"@authority\", which it has to over plain HTTP: "+
			"whoever reads the call there could have another node execute it")
	}
	return nil
}
