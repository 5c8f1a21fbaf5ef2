// Package driver is the Nomad task driver `countersign`: it takes tasks from Nomad, hands them to the node's host
// process over host/control, and tells Nomad what becomes of them. It owns the host's life: the first task starts
// one, it outlives the plugin, and the next plugin finds it again.
//
// It speaks Nomad's plugin protocol through the MPL-licensed protobuf packages alone. It must not know Consul, nor how
// artifacts are verified, functions run or calls signed.
package driver
