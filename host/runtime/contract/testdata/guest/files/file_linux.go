package main

import "syscall"

// isFile tells files and directories from sockets and the like.
func isFile(st *syscall.Stat_t) bool {
	kind := st.Mode & syscall.S_IFMT
	return kind == syscall.S_IFREG || kind == syscall.S_IFDIR
}
