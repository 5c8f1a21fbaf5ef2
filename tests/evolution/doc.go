// Package evolution tests the rules by which interfaces evolve (docs/interfaces.md) against what encodings really do:
// encoding/json as the SDK uses it, and a binary encoding of the strict kind. It is a module of its own, as the product does
// not import the SDK.
package evolution
