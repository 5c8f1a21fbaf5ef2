// Package cgroup confines processes in control groups of the kernel, version 1 or 2 (cgroups(7), and cgroup-v2 in the
// kernel's documentation): a group limits memory and the number of threads, tells what is used, and ends all that is in it.
// The kernel counts what a process can't hide: shared mappings, threads' stacks, page tables and what waits in its
// sockets and pipes.
//
// It owns finding the hierarchies, the directories that it makes in them, and what is written to them. It must not know
// functions, sandboxes or Nomad.
package cgroup
