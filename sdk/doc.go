// Package sdk is what the author of a function imports: it makes a function an ordinary Go function.
//
// The API package of a function, which its callers import too, names the function and its two types:
//
//	var Rate = sdk.Define[RateRequest, RateReply]("tax")
//
// The function's own main package binds the code to it, in init because a WebAssembly reactor's main never runs:
//
//	func init() { sdk.Handle(tax.Rate, rate) }
//	func main() { sdk.Main() }
//
// A caller uses it like a function: reply, err := tax.Rate.Call(ctx, tax.RateRequest{...}). Under go test the same
// call goes to a handler in the same process, or to one set with sdktest.Stub.
//
// The package owns the guest's half of the calling convention (docs/wasm-abi.md), in WebAssembly and over the socket
// of a native function. It must not know the rest of Countersign, and it imports only the standard library.
package sdk
