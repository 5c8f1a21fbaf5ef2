// Package keyring owns the public halves of a function's artifact key: every version of it that was ever seen, the
// lowest version whose signatures still count, and the file that keeps both on a node.
//
// Vault is where a ring comes from (see package transit), but a ring is data: this package does no network I/O, makes
// no signatures and must not know Vault's API. It knows nothing of what is signed either.
//
// # The floor
//
// MinVersion is the verification floor: Vault's min_decryption_version, which for a signing key is the lowest version
// that Vault itself would still verify. Vault stops to export public keys below it. A ring archives them, so that a
// refusal can say "retired" and not "unknown", and refuses them.
//
// A ring's floor never goes down. If Vault reports a lower one, be it that an operator took a retirement back or that
// Vault was restored from an older backup, Merge keeps the higher floor and says so in Change.HeldFloor; the caller
// logs it. A version that was retired because its key may have leaked thus stays retired on every node that learned of
// it. The way back is to sign again with the latest version, which needs no rebuild, or to remove the ring's file from
// the node on purpose. For the same reason a version's public key never changes: Merge refuses a ring in which it does.
package keyring
