// Package consul is the Consul of an environment, as a deploy uses it: the configuration entries that decide about calls,
// the lock that keeps two deploys apart, and what the catalog says about what runs.
//
// It owns reading and writing, and that nothing is overwritten which somebody changed meanwhile. What should be written
// is for package routes to plan. It must not know Nomad, nor when in a deploy something is written.
package consul
