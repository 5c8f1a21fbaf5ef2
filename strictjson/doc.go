// Package strictjson reads JSON that somebody relies on: what is signed, what is configured, what is kept on disk.
//
// encoding/json takes the last of two members with one name, and matches names without regard to case. A document with
// "sub" and "SUB" is then one thing to this reader and another to the next, and whoever writes it chooses which. Here a
// name matches byte for byte, occurs once in an object, and is never another name in disguise. What encoding/json would
// mend, such as broken UTF-8, is an error.
//
// The package owns how JSON is read. It must not know what is in it: what a value may be is for the caller to check.
package strictjson
