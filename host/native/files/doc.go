// Package files gives a process in the sandbox its storage tags: the host executes the process's system calls on files.
//
// The process has no file system and gets no file descriptor. Its seccomp filter hands a few system calls to the host
// (seccomp_unotify(2)), which reads their arguments from the process's memory once, does with host/storage what they ask for,
// and answers with a number. Descriptors of files are numbers from Base on that mean something to the host alone: what is
// not served here (mmap, dup, sendfile, ioctl, passing them on) finds nothing under them. No call that was handed over is
// ever continued by the kernel. So everything that is written passes the one place where it is counted, as in WebAssembly.
//
// It owns the system calls: their arguments, their results, descriptors and positions. What paths lead to and how much may be
// kept is host/storage. It must not know the sandbox, nor functions and their calls.
package files
