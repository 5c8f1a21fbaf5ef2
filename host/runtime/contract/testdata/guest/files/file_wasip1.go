package main

import "syscall"

// isFile tells files and directories from the standard streams. The directory of the tag is open, and opens nothing else.
func isFile(st *syscall.Stat_t) bool {
	return st.Filetype == syscall.FILETYPE_REGULAR_FILE
}
