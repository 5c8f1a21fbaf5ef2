// Package native runs functions that are static executables: one process per allocation, which can do nothing but
// compute, print and exchange frames over one inherited socket (docs/wasm-abi.md, section 6). It keeps the contract of
// host/runtime.
//
// The process is started by a shim, the host's own executable, which first gives up everything: it is alone in new
// user, PID, network, IPC, UTS and mount namespaces, on an empty read-only file system, under Landlock and seccomp,
// without privileges; and it is in a cgroup that limits memory and threads. A kernel that can't enforce one of these is a reason not to start.
//
// It owns the sandbox, which is the process with all that confines it, and its life. It must not know signatures,
// routing, Nomad or Vault.
package native
