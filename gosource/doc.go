// Package gosource finds in the Go source of a function which other functions its code calls, and where.
//
// It owns what counts as a call in source: that code of the function, which is its main package and the packages of its
// module that this imports, uses the variable that another function's API package defines with sdk.Define. Importing an API
// package for its types alone is none. It must not know specs, nor run anything: it parses files, and resolves imports by
// directories that it is given.
package gosource
