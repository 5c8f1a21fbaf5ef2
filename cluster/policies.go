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

// operatorRules are what the pipeline and people may do: make, read, use and rotate the functions' keys, and be
// certified as a client. Keys can't be exported, deleted or trimmed, and nobody can become a function.
const operatorRules = `
path "` + transitMount + `/keys" {
  capabilities = ["list"]
}
path "` + transitMount + `/keys/+" {
  capabilities = ["create", "read", "update"]
}
path "` + transitMount + `/keys/+/rotate" {
  capabilities = ["update"]
}
path "` + transitMount + `/keys/+/config" {
  capabilities = ["update"]
}
path "` + transitMount + `/sign/*" {
  capabilities = ["update"]
}
path "` + transitMount + `/verify/*" {
  capabilities = ["update"]
}
path "` + pkiMount + `/sign/client" {
  capabilities = ["update"]
}
`
