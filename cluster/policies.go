package cluster

import "fmt"

// metadata is the template of a workload identity's claim in policies and roles of Vault.
func metadata(accessor, claim string) string {
	return fmt.Sprintf("{{identity.entity.aliases.%s.metadata.%s}}", accessor, claim)
}

// functionPolicy is what a function's allocation may do. The identity decides which function it is: job `tax` can
// read the public keys of `tax`, and be certified as `tax`, for which the role of the certificate authority stands.
func functionPolicy(accessor string) string {
	return fmt.Sprintf(`
path "%s/sign/%s" {
  capabilities = ["update"]
}
path "%s/keys/%s" {
  capabilities = ["read"]
}
`, pkiMount, pkiRole, transitMount, metadata(accessor, "nomad_job_id"))
}

// pipelineRules are what a deploy may do: make keys whose private half cannot leave Vault, read and use them. It cannot
// change a key, and nobody calls functions with it. Whose token it is, it may ask: attestations name who deploys.
const pipelineRules = `
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "` + transitMount + `/keys" {
  capabilities = ["list"]
}
path "` + transitMount + `/keys/+" {
  capabilities = ["create", "read", "update"]
  allowed_parameters = {
    "type" = []
    "exportable" = [false]
    "allow_plaintext_backup" = [false]
  }
}
path "` + transitMount + `/sign/*" {
  capabilities = ["update"]
}
path "` + transitMount + `/verify/*" {
  capabilities = ["update"]
}
`

// operatorRules are what those who look after keys may do: read and rotate them, and retire versions. A key can't be made
// to leave Vault, nothing can be signed, and nobody can become a function or a client.
const operatorRules = `
path "` + transitMount + `/keys" {
  capabilities = ["list"]
}
path "` + transitMount + `/keys/+" {
  capabilities = ["read"]
}
path "` + transitMount + `/keys/+/rotate" {
  capabilities = ["update"]
}
path "` + transitMount + `/keys/+/config" {
  capabilities = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
    "auto_rotate_period" = []
  }
}
`

// personRules are what somebody who calls functions may do: be certified as the client that the role of the certificate
// authority says, which is the name of his entity and no other.
const personRules = `
path "` + pkiMount + `/sign/` + clientRole + `" {
  capabilities = ["update"]
}
`
