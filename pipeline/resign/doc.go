// Package resign signs again what is published already: it has the latest version of a function's key repeat what an
// attestation of an earlier version states, so that retiring that version stops nothing, and tools that know only the latest
// version verify the artifact.
//
// It owns that nothing is repeated which was not verified before, what an archived public key is good for, and how many
// attestations of one artifact are kept. It must not know what runs, nor which releases there are.
package resign
