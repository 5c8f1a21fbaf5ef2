// Command network does with its network tags what it is told, and says what came of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"countersign.internal/sdk"
	sdkio "countersign.internal/sdk/io"
)

// Request is one operation.
type Request struct {
	Do      string `json:"do"`
	Tag     string `json:"tag,omitempty"`
	Text    string `json:"text,omitempty"`
	N       int    `json:"n,omitempty"`
	Timeout string `json:"timeout,omitempty"`
}

// Result is what came of it.
type Result struct {
	Text   string `json:"text,omitempty"`
	N      int    `json:"n"`
	Error  string `json:"error,omitempty"`
	Reason string `json:"reason,omitempty"`
}

var network = sdk.Define[Request, Result]("network")

var kept []net.Conn

func init() {
	sdk.Handle(network, func(ctx context.Context, r Request) (result Result, _ error) {
		if r.Timeout != "" {
			timeout, err := time.ParseDuration(r.Timeout)
			if err != nil {
				return result, err
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		text, n, err := do(ctx, r)
		result.Text, result.N = text, n
		if err != nil {
			result.Error = err.Error()
			var failure *sdkio.Error
			if errors.As(err, &failure) {
				result.Reason = string(failure.Reason)
			}
		}
		return result, nil
	})
}

func do(ctx context.Context, r Request) (string, int, error) {
	switch r.Do {
	case "echo":
		c, err := sdkio.Dial(ctx, r.Tag)
		if err != nil {
			return "", 0, err
		}
		defer c.Close()
		return echo(c, r.Text)
	case "addresses":
		c, err := sdkio.Dial(ctx, r.Tag)
		if err != nil {
			return "", 0, err
		}
		defer c.Close()
		return fmt.Sprint(c.LocalAddr(), c.RemoteAddr()), 0, nil
	case "keep":
		for range max(r.N, 1) {
			c, err := sdkio.Dial(ctx, r.Tag)
			if err != nil {
				return "", len(kept), err
			}
			kept = append(kept, c)
		}
		return "", len(kept), nil
	case "echo-kept":
		return echo(kept[0], r.Text)
	case "drop":
		for _, c := range kept {
			c.Close()
		}
		kept = nil
		return "", 0, nil
	case "watch-kept": // as a pool does
		c := kept[0]
		go func() {
			c.Read(make([]byte, 1))
			gone = true
		}()
		return "", 0, nil
	case "is-gone":
		return fmt.Sprint(gone), 0, nil
	case "read": // nothing comes
		c, err := sdkio.Dial(ctx, r.Tag)
		if err != nil {
			return "", 0, err
		}
		defer c.Close()
		if at, ok := ctx.Deadline(); ok && r.Timeout != "" {
			c.SetReadDeadline(at)
		}
		n, err := c.Read(make([]byte, 1))
		return "", n, err
	case "parallel":
		return parallel(ctx, r)
	case "flood":
		c, err := sdkio.Dial(ctx, r.Tag)
		if err != nil {
			return "", 0, err
		}
		defer c.Close()
		go io.Copy(io.Discard, c)
		n, err := c.Write(make([]byte, r.N))
		return "", n, err
	case "rounds":
		return rounds(ctx, r)
	case "closed":
		return closed(ctx, r)
	case "elsewhere":
		return elsewhere(ctx, r)
	case "guess":
		return guess(ctx, r)
	case "datagram-vectors":
		return datagramVectors(ctx, r)
	case "listen":
		return accept(ctx, r)
	case "poll":
		return poll(r)
	case "renumber":
		return renumber()
	}
	return "", 0, errors.ErrUnsupported
}

var gone bool

// echo writes a text and reads it back.
func echo(c net.Conn, text string) (string, int, error) {
	if _, err := io.WriteString(c, text); err != nil {
		return "", 0, err
	}
	b := make([]byte, len(text))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), n, err
}

// parallel has so many goroutines wait for a server, while one counts what it could do meanwhile.
func parallel(ctx context.Context, r Request) (string, int, error) {
	var wg sync.WaitGroup
	failures := make([]error, r.N)
	for i := range r.N {
		wg.Go(func() {
			c, err := sdkio.Dial(ctx, r.Tag)
			if err != nil {
				failures[i] = err
				return
			}
			defer c.Close()
			want := strings.Repeat(fmt.Sprint(i, " "), 1000)
			if got, _, err := echo(c, want); err != nil || got != want {
				failures[i] = fmt.Errorf("got %.10q: %w", got, err)
			}
		})
	}
	ticks, done := 0, make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return "", ticks, errors.Join(failures...)
		case <-time.After(time.Millisecond):
			ticks++
		}
	}
}

// rounds counts round trips and tells how long one takes.
func rounds(ctx context.Context, r Request) (string, int, error) {
	c, err := sdkio.Dial(ctx, r.Tag)
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	start := time.Now()
	for range r.N {
		if _, _, err := echo(c, "x"); err != nil {
			return "", 0, err
		}
	}
	return (time.Since(start) / time.Duration(r.N)).String(), r.N, nil
}

// closed uses a connection that it has closed, and its descriptor.
func closed(ctx context.Context, r Request) (string, int, error) {
	c, err := sdkio.Dial(ctx, r.Tag)
	if err != nil {
		return "", 0, err
	}
	c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		return "", 0, fmt.Errorf("reading what is closed: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		return "", 0, fmt.Errorf("writing what is closed: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		return "", 0, fmt.Errorf("closing what is closed: %v", err)
	}
	return "", 0, nil
}

// elsewhere tries what Go's own network package reaches, and returns what it got.
func elsewhere(ctx context.Context, r Request) (string, int, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	network, address, _ := strings.Cut(r.Text, " ")
	if network == "lookup" {
		names, err := net.DefaultResolver.LookupHost(ctx, address)
		return strings.Join(names, " "), len(names), err
	}
	if network == "listen" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return "", 0, err
		}
		defer l.Close()
		if at, ok := ctx.Deadline(); ok {
			l.(*net.TCPListener).SetDeadline(at)
		}
		_, err = l.Accept()
		return "", 0, err
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return "", 0, err
	}
	c.SetDeadline(time.Now().Add(time.Second))
	return echo(c, "hello")
}

//go:wasmimport wasi_snapshot_preview1 fd_read
func fdRead(fd int32, iovs unsafe.Pointer, count uint32, n unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd int32, iovs unsafe.Pointer, count uint32, n unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 fd_renumber
func fdRenumber(from, to int32) uint32

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in, out unsafe.Pointer, count uint32, n unsafe.Pointer) uint32

//go:wasmimport countersign_v1 network_status
func networkStatus(descriptor uint32) uint32

// guess uses all descriptors that it was not given, and those that it has with lists of buffers that can't be. What it finds
// is counted.
func guess(ctx context.Context, r Request) (string, int, error) {
	b := make([]byte, 16)
	iov := [2]uint32{uint32(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b))}
	var n uint32
	found := 0
	use := func(fd int32) {
		for _, errno := range []uint32{fdRead(fd, unsafe.Pointer(&iov), 1, unsafe.Pointer(&n)),
			fdWrite(fd, unsafe.Pointer(&iov), 1, unsafe.Pointer(&n)), networkStatus(uint32(fd))} {
			if syscall.Errno(errno) != syscall.EBADF {
				found++
			}
		}
	}
	for fd := int32(1<<20 + 1); fd < 1<<20+5000; fd++ {
		use(fd)
	}
	for _, fd := range []int32{3, 100, 1<<20 - 1, 1 << 30, -1, -1 << 31} {
		use(fd)
	}
	c, err := sdkio.Dial(ctx, r.Tag) // its descriptor is the first
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	outside := [2]uint32{1<<32 - 8, 16}
	for _, attack := range []struct {
		iov   unsafe.Pointer
		count uint32
		n     unsafe.Pointer
		want  syscall.Errno
	}{
		{unsafe.Pointer(&outside), 1, unsafe.Pointer(&n), syscall.EFAULT},
		{unsafe.Pointer(uintptr(1<<32 - 4)), 1, unsafe.Pointer(&n), syscall.EFAULT},
		{unsafe.Pointer(&iov), 1 << 29, unsafe.Pointer(&n), syscall.EINVAL},
		{unsafe.Pointer(&iov), 1025, unsafe.Pointer(&n), syscall.EINVAL},
	} {
		for _, errno := range []uint32{fdRead(1<<20+1, attack.iov, attack.count, attack.n),
			fdWrite(1<<20+1, attack.iov, attack.count, attack.n)} {
			if syscall.Errno(errno) != attack.want {
				return "", found, fmt.Errorf("%+v: %v", attack, syscall.Errno(errno))
			}
		}
	}
	if errno := fdWrite(1<<20+1, unsafe.Pointer(&iov), 1, unsafe.Pointer(uintptr(1<<32-2))); syscall.Errno(errno) != syscall.EFAULT {
		return "", found, fmt.Errorf("a result outside of memory: %v", syscall.Errno(errno))
	}
	return "", found, nil
}

// datagramVectors sends one datagram from several buffers, and reads the answer to several.
func datagramVectors(ctx context.Context, r Request) (string, int, error) {
	c, err := sdkio.Dial(ctx, r.Tag) // its descriptor is the first
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	b := []byte(r.Text)
	at := uint32(uintptr(unsafe.Pointer(&b[0])))
	iovs := [6]uint32{at, 4, at, 0, at + 4, uint32(len(b)) - 4}
	var n uint32
	if errno := fdWrite(1<<20+1, unsafe.Pointer(&iovs), 3, unsafe.Pointer(&n)); errno != 0 || int(n) != len(b) {
		return "", int(n), syscall.Errno(errno)
	}
	clear(b)
	for {
		switch errno := syscall.Errno(fdRead(1<<20+1, unsafe.Pointer(&iovs), 3, unsafe.Pointer(&n))); errno {
		case 0:
			return string(b), int(n), nil
		case syscall.EAGAIN:
			time.Sleep(time.Millisecond)
		default:
			return "", 0, errno
		}
	}
}

// accept answers so many connections, and uses the listener in ways that are for connections.
func accept(ctx context.Context, r Request) (string, int, error) {
	l, err := sdkio.Listen(r.Tag)
	if err != nil {
		return "", 0, err
	}
	defer l.Close()
	var b [1]byte
	iov := [2]uint32{uint32(uintptr(unsafe.Pointer(&b[0]))), 1}
	var n uint32
	if errno := fdRead(1<<20+1, unsafe.Pointer(&iov), 1, unsafe.Pointer(&n)); syscall.Errno(errno) != syscall.ENOTCONN {
		return "", 0, fmt.Errorf("a listener can be read: %v", syscall.Errno(errno))
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range r.N {
		c, err := l.Accept()
		if err != nil {
			return "", i, err
		}
		wg.Go(func() {
			defer c.Close()
			io.Copy(c, c)
		})
	}
	if at, ok := ctx.Deadline(); ok && r.Timeout != "" {
		l.(interface{ SetDeadline(time.Time) error }).SetDeadline(at)
		_, err = l.Accept()
		return l.Addr().String(), r.N, err
	}
	return l.Addr().String(), r.N, nil
}

// poll waits for so many descriptors at once.
func poll(r Request) (string, int, error) {
	in, out := make([]byte, 48*max(r.N, 1)), make([]byte, 32*max(r.N, 1))
	for i := range r.N {
		in[48*i+8], in[48*i+18] = 1, 16 // to read from 2^20
	}
	var n uint32
	errno := pollOneoff(unsafe.Pointer(&in[0]), unsafe.Pointer(&out[0]), uint32(r.N), unsafe.Pointer(&n))
	if errno != 0 {
		return "", int(n), syscall.Errno(errno)
	}
	return "", int(n), nil
}

// renumber has the host's table of descriptors grow.
func renumber() (string, int, error) {
	grown := 0
	for to := int32(1 << 15); to > 0; to <<= 1 {
		if fdRenumber(0, to) == 0 {
			grown++
		}
		if fdRenumber(1<<20+1, to) == 0 || fdRenumber(to, 1<<20+1) == 0 {
			grown++
		}
	}
	return "", grown, nil
}

func main() { sdk.Main() }
