// Package cluster tests the local cluster with real servers: what `countersign cluster up` starts works, and `down`
// leaves nothing of it on the machine, whatever happened before. Its tests have the build tag integration.
package cluster
