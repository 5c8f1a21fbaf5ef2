// Package artifact owns what a function is once it is built: its OCI layout, its way into a registry and out of it, the
// bundles that are attached to it, and the node's cache of all that.
//
// Whatever is handed out was hashed in this process: a digest that does not match is a *DigestError, wherever the bytes
// came from. A digest says which artifact it is and not who made it; that is what package attest decides. This package
// carries bundles as bytes and must not know keys, Vault, Nomad, function specs or the runtimes.
package artifact
