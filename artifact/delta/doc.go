// Package delta makes and applies the difference of two versions of an executable. A version that was built from slightly
// different source has most of its bytes in other places, and many of them changed a little: addresses and indices. So a delta
// copies regions that match approximately, and has what is to be added to the bytes in them that differ, as in C. Percival,
// "Naive Differences of Executable Code" (2003).
//
// It owns the format (docs/delta-format.md). What a delta makes is not vouched for: whoever applies one knows the digest of what has
// to come out, and checks it. It must not know what artifacts are, nor where deltas come from.
package delta
