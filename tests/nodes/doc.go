// Package nodes tests calls between three nodes: real Nomad clients, Consul agents and hosts, each at an address of its
// own. It needs the build tag "integration".
package nodes
