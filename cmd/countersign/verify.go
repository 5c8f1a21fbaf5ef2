package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"countersign"
	"countersign/pipeline"
	"countersign/pipeline/load"
	"countersign/vaultsign/attest"
)

const (
	verifyArgs    = "<function|reference> [-env FILE] [-json] [-key FILE]"
	verifySummary = "verify what runs, or an artifact, and print who built it from what"
)

func init() { register(command{"verify", verifyArgs, verifySummary, verify}) }

func verify(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "verify", verifyArgs, verifySummary)
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	keyFile := fs.String("key", "", "PEM `file` of the public key to verify with, instead of Vault's key ring")
	asJSON := fs.Bool("json", false, "print JSON")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return &usageError{"name one function or artifact"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	var key []byte
	if *keyFile != "" {
		if key, err = os.ReadFile(*keyFile); err != nil {
			return fmt.Errorf("read the public key: %w", err)
		}
	}
	v, err := pipeline.Verify(s.patient(ctx, "verify"), env, rest[0], key)
	if *asJSON {
		if printErr := printVerificationJSON(s.out, v, err); printErr != nil {
			return printErr
		}
	}
	if countersign.IsUnverified(err) {
		return fmt.Errorf("NOT VERIFIED: %s: %w", rest[0], err)
	}
	if err == nil && !*asJSON {
		printVerification(s.out, v)
	}
	return err
}

// printVerification prints what was verified, one fact a line.
func printVerification(w io.Writer, v *pipeline.Verification) {
	fmt.Fprintf(w, "VERIFIED    %s\n", v.Artifact)
	line := func(name, value string) { fmt.Fprintf(w, "%-12s%s\n", name, value) }
	line("function", v.Function)
	line("repository", v.Repository)
	line("commit", v.Commit)
	if v.Ref != "" {
		line("ref", v.Ref)
	}
	line("target", v.Target)
	line("builder", v.Builder)
	for _, component := range slices.Sorted(maps.Keys(v.BuilderVersion)) {
		line("", component+" "+v.BuilderVersion[component])
	}
	if v.Deployer != "" {
		line("deployer", v.Deployer)
	}
	if v.SignedAgainFor != "" {
		line("again", "signed again for "+v.SignedAgainFor+"; before, by "+v.SignedAgainKey)
	}
	for _, f := range v.Files {
		line("file", f.Digest+" "+f.Name)
	}
	line("spec", v.SpecDigest)
	line("interface", v.InterfaceDigest)
	if v.Tests != "" {
		line("tests", string(v.Tests))
	}
	source := "Vault's key ring"
	if v.KeySource == "file" {
		source = "the key file; whether Vault has retired the version is not known"
	}
	line("signed by", fmt.Sprintf("%s (version %d), verified with %s", v.Key, v.KeyVersion, source))
	if !v.Deployed.IsZero() {
		line("deployed", v.Deployed.Local().Format(time.RFC3339))
	}
}

// printVerificationJSON prints a verification, or why there is none.
func printVerificationJSON(w io.Writer, v *pipeline.Verification, err error) error {
	out := struct {
		Verified bool   `json:"verified"`
		Reason   string `json:"reason,omitempty"` // in one word, see docs/attestation-format.md
		Error    string `json:"error,omitempty"`
		*pipeline.Verification
	}{Verified: err == nil, Verification: v}
	if err != nil {
		out.Error = err.Error()
	}
	var refused *attest.VerificationError
	if errors.As(err, &refused) {
		out.Reason = string(refused.Reason)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
