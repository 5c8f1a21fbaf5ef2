// Package network connects a function to what its network tags are bound to, and to nothing else.
//
// It owns how a tag's binding (addresses, a service, a Unix socket) becomes a connected socket: names are resolved here, a
// dial ends in bounded time, the limits of a tag hold for all connections of an allocation, and all of them end with it. It
// must not know what a function is, in which runtime it runs, or where bindings come from.
package network
