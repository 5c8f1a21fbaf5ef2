package sdk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// explainDenied writes to the function's log what the platform kept it from, if that is why its handler failed: the
// operating system's "operation not permitted" or "bad file number" does not tell what to do about it.
func explainDenied(function string, err error) {
	var errno syscall.Errno
	var tagged interface{ NetworkTag() string }
	if !errors.As(err, &errno) || !denied(errno) || errors.As(err, &tagged) {
		return
	}
	tag := "network"
	var file *fs.PathError
	if errors.As(err, &file) {
		tag = "storage"
	}
	fmt.Fprintf(os.Stderr, "function %s was denied: %v: no %s tag (io) of its spec declares it, and what none declares does not "+
		"exist for a function\n", function, err, tag)
}

// notCapable is how WASI says that a descriptor does not permit something.
const notCapable = syscall.Errno(76)

// denied tells whether a function meets errno when it asks for what it does not have.
func denied(errno syscall.Errno) bool {
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		return true
	case syscall.EBADF, syscall.ECONNREFUSED, notCapable: // there is no directory to open from, and no network
		return runtime.GOOS == "wasip1"
	}
	return false
}
