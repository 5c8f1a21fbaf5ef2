// Package storage holds functions to their storage tags: each is a directory of the node, out of which no path leads, and in
// which no more bytes and files are kept than the tag permits.
//
// It owns the way from a tag's directory to a file in it, what counts as how many bytes, and the count, which all that use
// one directory share. It must not know WebAssembly, Nomad, or what a spec looks like. Errors of its operations are the
// kernel's numbers: ENOSPC beyond a tag's bounds, EROFS for a change of a read-only tag, EMFILE for one open file too many.
//
// What is counted are the sizes of regular files, as `ls -l` shows them: a hole counts, a file with two names counts once,
// one that was deleted counts until it is closed. Files are those that have a name in the directory or below; directories
// and all else with a name count as well. Only what functions do is counted as it happens: what others change in the
// directory is seen when its count begins anew, which is when no function uses it any more, or the host was restarted.
package storage
