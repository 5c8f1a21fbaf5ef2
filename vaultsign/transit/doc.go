// Package transit is the client of Vault's transit secrets engine: it creates a function's artifact key, reads its
// public halves and has it sign. The private halves never leave Vault: a key that could be exported is refused.
//
// It owns no policy: who may do what is Vault's to say. The pipeline creates and signs; hosts only read. It must not
// know what is signed, where key rings are kept, or how a token was obtained.
package transit
