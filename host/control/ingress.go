package control

// Ingress says how a host answers calls from outside.
type Ingress struct {
	Names    []string `json:"names,omitempty"`     // host or host:port by which clients reach the host, beside its own address
	MaxCalls int      `json:"max_calls,omitempty"` // calls at once; 0: the host's default
	Issuers  []Issuer `json:"issuers,omitempty"`   // whose tokens callers of functions with auth = "jwt" may bring
}

// Issuer is a trusted issuer of bearer tokens (JWT).
type Issuer struct {
	Issuer   string `json:"issuer"`             // as in the tokens' iss claim
	JWKSURL  string `json:"jwks_url,omitempty"` // "": by OpenID Connect discovery
	Audience string `json:"audience"`           // as in the tokens' aud claim
	CACert   string `json:"ca_cert,omitempty"`  // path of a PEM file
}
