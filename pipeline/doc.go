// Package pipeline is what the commands deploy, promote, abort, verify, keys and log do. Each is a few calls of the packages below,
// and a result:
//
//	load      what Bazel built, the specs, the environment
//	publish   load → describe → sign → publish: ends in a release.Record
//	resign    what is published -> signed again by the latest key version
//	apply     a record → check, render, plan, route, run, wait, shift, narrow; and how a canary ends
//	job       the text of a Nomad job
//	routes    which configuration entries Consul should have
//	nomad, consul, registry, vault    the servers, one package each
//	progress, failure                 what a deploy is doing, and how that fails
//
// It owns what users decide and are told. It must not run functions or take calls, and it holds no key: Vault signs.
package pipeline
