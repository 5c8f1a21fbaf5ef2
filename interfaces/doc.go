// Package interfaces reads what a function looks like to its callers, and tells whether a caller that was built with one
// version of it can call another (docs/interfaces.md).
//
// It owns the interface document: its reading, its canonical encoding and digest, and the rules of compatibility. The SDK
// writes the document; it imports nothing of ours, so it has the same types once more. The package must not know where
// documents are kept, what runs, or how calls are made: it computes on what it is given.
package interfaces
