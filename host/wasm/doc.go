// Package wasm runs functions that are WebAssembly modules: it compiles, pools, feeds, limits and stops them.
//
// It owns the host's half of the WebAssembly calling convention (docs/wasm-abi.md) and distrusts every byte that a
// module says. A module sees clocks, random numbers, two output streams and the calls that Options.Caller makes for
// it, and the files of its storage tags (host/storage); there is no other file system, environment or network. It keeps the contract of host/runtime: an Instance is one
// allocation, and its sandboxes are module instances. It must not know signatures, routing, Nomad or Vault.
package wasm
