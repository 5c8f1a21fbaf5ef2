package cluster

import (
	"context"
	"fmt"
)

// Lifetimes in Vault.
const (
	rootLife         = "87600h" // the certificate authority of a local cluster: ten years
	functionCertLife = "1h"
	functionCertMax  = "4h"
	clientCertLife   = "1h"
	clientCertMax    = "8h"
	functionLogin    = "1h"
	developerPeriod  = "720h" // a token that is not used for a month ends; the next Up makes another
)

// setUpVault makes everything in Vault that does not need Nomad, changing nothing that is as it should be, and
// returns the token of whoever uses the cluster.
func (u *bringUp) setUpVault(ctx context.Context) (token string, err error) {
	keys, err := u.dir.keys()
	if err != nil {
		return "", err
	}
	client := rest{base: u.address("vault"), token: keys.RootToken}
	if err := setUpAudit(ctx, client); err != nil {
		return "", fmt.Errorf("audit device of Vault: %w", err)
	}
	if err := u.dir.trimAudit(maxAudit); err != nil {
		return "", err
	}
	if err := mountEngines(ctx, client); err != nil {
		return "", fmt.Errorf("secrets engines of Vault: %w", err)
	}
	accessor, err := mountLogins(ctx, client)
	if err != nil {
		return "", fmt.Errorf("JWT logins of Vault: %w", err)
	}
	for name, policy := range map[string]string{
		functionRole: functionPolicy(accessor), pipelinePolicy: pipelineRules, operatorPolicy: operatorRules,
		personPolicy: personRules,
	} {
		if err := client.put(ctx, "/v1/sys/policies/acl/"+name, map[string]string{"policy": policy}, nil); err != nil {
			return "", fmt.Errorf("policy %s of Vault: %w", name, err)
		}
	}
	if err := setUpPKI(ctx, client, u.state.TrustDomain, accessor); err != nil {
		return "", fmt.Errorf("certificate authority in Vault: %w", err)
	}
	if token, err = u.developerToken(ctx, client); err != nil {
		return "", fmt.Errorf("token of Vault for %s: %w", LocalName(), err)
	}
	return token, nil
}

// mountEngines mounts transit and PKI.
func mountEngines(ctx context.Context, client rest) error {
	var mounts vaultData[map[string]any]
	if err := client.get(ctx, "/v1/sys/mounts", &mounts); err != nil {
		return err
	}
	for mount, spec := range map[string]map[string]any{
		transitMount: {"type": "transit"},
		pkiMount:     {"type": "pki", "config": map[string]string{"max_lease_ttl": rootLife}},
	} {
		if _, ok := mounts.Data[mount+"/"]; ok {
			continue
		}
		if err := client.put(ctx, "/v1/sys/mounts/"+mount, spec, nil); err != nil {
			return err
		}
	}
	return nil
}

// mountLogins mounts the JWT logins and returns the accessor that templated policies name them by.
func mountLogins(ctx context.Context, client rest) (accessor string, err error) {
	for range 2 {
		var mounts vaultData[map[string]struct{ Accessor string }]
		if err := client.get(ctx, "/v1/sys/auth", &mounts); err != nil {
			return "", err
		}
		if m, ok := mounts.Data[authMount+"/"]; ok {
			return m.Accessor, nil
		}
		if err := client.put(ctx, "/v1/sys/auth/"+authMount, map[string]string{"type": "jwt"}, nil); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("auth mount %s was made and is not there", authMount)
}

// setUpPKI makes the root, once, and the roles for call certificates. Leaves are not stored, so that the storage does
// not grow with every allocation: they are short-lived instead of revoked.
func setUpPKI(ctx context.Context, client rest, trustDomain, accessor string) error {
	mount := "/v1/" + pkiMount
	err := client.do(ctx, "LIST", mount+"/issuers", nil, nil)
	if isNotFound(err) {
		err = client.put(ctx, mount+"/root/generate/internal", map[string]any{
			"common_name": "Countersign " + trustDomain, "key_type": "ed25519", "ttl": rootLife,
			"uri_sans": "spiffe://" + trustDomain, "exclude_cn_from_sans": true,
		}, nil)
	}
	if err != nil {
		return err
	}
	roles := map[string]map[string]any{
		pkiRole: {
			"allowed_uri_sans":          fmt.Sprintf("spiffe://%s/function/%s", trustDomain, metadata(accessor, "nomad_job_id")),
			"allowed_uri_sans_template": true, "ttl": functionCertLife, "max_ttl": functionCertMax,
			// URI SANs are matched as globs, so a job named * would be any function. The common name is not: it must be
			// the job's ID, and a host name.
			"require_cn": true, "allowed_domains": metadata(accessor, "nomad_job_id"), "allowed_domains_template": true,
			"allow_bare_domains": true, "allow_glob_domains": false, "enforce_hostnames": true,
		},
		clientRole: {
			// The name of an entity is an administrator's to give: no login method makes one of what a user claims.
			"allowed_uri_sans":          fmt.Sprintf("spiffe://%s/client/{{identity.entity.name}}", trustDomain),
			"allowed_uri_sans_template": true,
			"ttl":                       clientCertLife, "max_ttl": clientCertMax, "require_cn": false,
		},
	}
	for name, role := range roles {
		for key, value := range map[string]any{
			"key_type": "ed25519", "use_csr_common_name": false, "allow_any_name": false,
			"allow_localhost": false, "allow_ip_sans": false, "allow_wildcard_certificates": false,
			"client_flag": true, "server_flag": true, "key_usage": []string{"DigitalSignature"},
			"no_store": true, "generate_lease": false, "not_before_duration": "30s",
		} {
			role[key] = value
		}
		if err := client.put(ctx, mount+"/roles/"+name, role, nil); err != nil {
			return err
		}
	}
	return nil
}

// setUpLogins lets allocations log in with Nomad's workload identities. It needs Nomad, whose keys Vault fetches.
func (u *bringUp) setUpLogins(ctx context.Context) (err error) {
	step := u.log.Start("identity", "")
	defer func() { step.Fail(err) }()
	keys, err := u.dir.keys()
	if err != nil {
		return err
	}
	client := rest{base: u.address("vault"), token: keys.RootToken}
	config := map[string]any{
		"jwks_url":           u.address("nomad") + "/.well-known/jwks.json",
		"jwt_supported_algs": []string{"RS256", "EdDSA"}, "default_role": functionRole,
	}
	if err := client.put(ctx, "/v1/auth/"+authMount+"/config", config, nil); err != nil {
		return fmt.Errorf("JWT logins of Vault: %w", err)
	}
	// Batch tokens: a login writes nothing to the storage. The default policy is left out, so that the token can do
	// what functionPolicy says and no more.
	role := map[string]any{
		"role_type": "jwt", "bound_audiences": []string{audience},
		"bound_claims": map[string]string{"nomad_namespace": "default"},
		"user_claim":   "/nomad_job_id", "user_claim_json_pointer": true,
		"claim_mappings": map[string]string{
			"nomad_job_id": "nomad_job_id", "nomad_namespace": "nomad_namespace", "nomad_task": "nomad_task",
		},
		"token_type": "batch", "token_policies": []string{functionRole}, "token_no_default_policy": true,
		"token_ttl": functionLogin, "token_max_ttl": functionLogin,
	}
	if err := client.put(ctx, "/v1/auth/"+authMount+"/role/"+functionRole, role, nil); err != nil {
		return fmt.Errorf("JWT role %s of Vault: %w", functionRole, err)
	}
	step.Done("Vault accepts Nomad's workload identities")
	return nil
}
