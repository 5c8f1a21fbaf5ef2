// Package apply brings a release to a cluster: check, render, plan, route, run, wait, shift, narrow. A record is all that
// it takes; what a record names is read from the registry and verified. So what was published once can be run again.
// Ending a canary, by promoting or aborting it, is done with the same parts.
//
// It owns the order of these steps, that callees run before their callers, when calls go where, and when a canary is
// refused. It must not know the build, how an artifact was made or signed, nor how Nomad and Consul are spoken to.
package apply
