package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"countersign/host/network"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

const (
	// maxVectors bounds the buffers of one read or write, as Linux does.
	maxVectors = 1024
	// maxDatagram is the longest one that there is.
	maxDatagram = 64 << 10
	// maxDescriptor bounds what fd_renumber makes of a descriptor: wazero has a table as long as the highest.
	maxDescriptor = 1 << 14
)

// socketErrors are WASI's numbers for what can go wrong with a connection.
var socketErrors = map[unix.Errno]uint64{
	unix.EAGAIN: wasiAgain, unix.EBADF: wasiBadDescriptor, unix.ECONNABORTED: 13, unix.ECONNREFUSED: 14, unix.ECONNRESET: 15,
	unix.EHOSTUNREACH: 23, unix.EFAULT: wasiFault, unix.EINVAL: wasiInvalid, unix.EMFILE: 33, unix.EMSGSIZE: 35, unix.ENETUNREACH: 40, unix.ENOBUFS: 42,
	unix.ENOTCONN: 53, unix.EPIPE: 64, unix.ETIMEDOUT: 73,
}

// reasonErrors are those for why a tag could not be used. The SDK turns them into words again.
var reasonErrors = map[network.Reason]uint64{
	network.Undeclared: 76, network.Unbound: 43, network.Limited: 19, network.Unreachable: 23, network.Refused: 14, network.Unverified: 2,
	network.TimedOut: 73, network.Canceled: 11,
}

// socketErrno is WASI's number for an error.
func socketErrno(err error) uint64 {
	var failure *network.Error
	var number unix.Errno
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errConnecting):
		return wasiAgain
	case errors.As(err, &failure):
		if known, ok := reasonErrors[failure.Reason]; ok {
			return known // never 0, which would be success
		}
	case errors.As(err, &number):
		if known, ok := socketErrors[number]; ok {
			return known
		}
	}
	return wasiIO
}

// socketFunction is one of WASI's functions for a descriptor of ours.
type socketFunction func(s *sockets, memory api.Memory, descriptor int32, stack []uint64) uint64

// socketFunctions are those that connections have. All others know no such descriptor.
var socketFunctions = map[string]socketFunction{
	"fd_read":             socketRead,
	"fd_write":            socketWrite,
	"fd_close":            socketClose,
	"fd_fdstat_get":       socketStat,
	"fd_fdstat_set_flags": socketSetFlags,
	"sock_shutdown":       socketShutdown,
	"sock_accept":         socketAccept,
}

// withConnections is a function of WASI which knows connections as well.
func withConnections(do socketFunction, original api.GoModuleFunction) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		descriptor := int32(stack[0])
		s, ok := ctx.Value(sandboxKey{}).(*sandbox)
		if !ok || s.sockets == nil || descriptor < idleDescriptor {
			original.Call(ctx, mod, stack)
			return
		}
		s.acted = true // its peer may have noticed
		stack[0] = do(s.sockets, mod.Memory(), descriptor, stack)
	})
}

// renumber is fd_renumber for descriptors that wazero has a place for.
func renumber(original api.GoModuleFunction) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		if uint32(stack[0]) > maxDescriptor || uint32(stack[1]) > maxDescriptor {
			stack[0] = wasiBadDescriptor
			return
		}
		original.Call(ctx, mod, stack)
	})
}

// vectors reads a list of buffers in the guest's memory. Empty ones are left out.
func vectors(memory api.Memory, at, count uint32) (list [][]byte, errno uint64) {
	if count > maxVectors {
		return nil, wasiInvalid
	}
	raw, ok := memory.Read(at, 8*count)
	if !ok {
		return nil, wasiFault
	}
	for ; len(raw) > 0; raw = raw[8:] {
		size := binary.LittleEndian.Uint32(raw[4:])
		buffer, ok := memory.Read(binary.LittleEndian.Uint32(raw), size)
		if !ok {
			return nil, wasiFault
		}
		if size > 0 {
			list = append(list, buffer)
		}
	}
	return list, 0
}

// one is the buffer that a read or write uses: the first, unless all of them are to be one datagram.
func one(list [][]byte, datagram bool) (buffer []byte, joined bool) {
	switch {
	case len(list) == 0:
		return nil, false
	case len(list) == 1 || !datagram:
		return list[0], false
	}
	size := 0
	for _, b := range list {
		size += min(len(b), maxDatagram-size)
	}
	return make([]byte, size), true
}

func socketRead(s *sockets, memory api.Memory, descriptor int32, stack []uint64) uint64 {
	list, errno := vectors(memory, uint32(stack[1]), uint32(stack[2]))
	if errno != 0 {
		return errno
	}
	buffer, joined := one(list, s.datagram(descriptor))
	n, err := s.read(descriptor, buffer)
	if err != nil {
		return socketErrno(err)
	}
	if rest := buffer[:n]; joined {
		for _, b := range list {
			rest = rest[copy(b, rest):]
		}
	}
	return putSize(memory, uint32(stack[3]), n)
}

func socketWrite(s *sockets, memory api.Memory, descriptor int32, stack []uint64) uint64 {
	list, errno := vectors(memory, uint32(stack[1]), uint32(stack[2]))
	if errno != 0 {
		return errno
	}
	buffer, joined := one(list, s.datagram(descriptor))
	if rest := buffer; joined {
		for _, b := range list {
			if len(b) > len(rest) {
				return socketErrors[unix.EMSGSIZE]
			}
			rest = rest[copy(rest, b):]
		}
	}
	n, err := s.write(descriptor, buffer)
	if err != nil {
		return socketErrno(err)
	}
	return putSize(memory, uint32(stack[3]), n)
}

func putSize(memory api.Memory, at uint32, n int) uint64 {
	if !memory.WriteUint32Le(at, uint32(n)) {
		return wasiFault
	}
	return 0
}

func socketClose(s *sockets, _ api.Memory, descriptor int32, _ []uint64) uint64 {
	if descriptor == idleDescriptor {
		return 0
	}
	return socketErrno(s.release(descriptor))
}

// The file types of WASI for sockets, and the flag of descriptors that do not block.
const (
	typeDatagram = 5
	typeStream   = 6
	flagNonblock = 4
)

func socketStat(s *sockets, memory api.Memory, descriptor int32, stack []uint64) uint64 {
	if _, err := s.get(descriptor); descriptor != idleDescriptor && errors.Is(err, unix.EBADF) {
		return wasiBadDescriptor
	}
	var stat [24]byte
	stat[0] = typeStream
	if s.datagram(descriptor) {
		stat[0] = typeDatagram
	}
	stat[2] = flagNonblock
	binary.LittleEndian.PutUint64(stat[8:], math.MaxUint64) // rights: what they do not permit, the functions do not
	if !memory.Write(uint32(stack[1]), stat[:]) {
		return wasiFault
	}
	return 0
}

// socketSetFlags changes nothing: no descriptor of ours ever blocks.
func socketSetFlags(s *sockets, _ api.Memory, descriptor int32, _ []uint64) uint64 {
	if _, err := s.get(descriptor); descriptor != idleDescriptor && errors.Is(err, unix.EBADF) {
		return wasiBadDescriptor
	}
	return 0
}

func socketShutdown(s *sockets, _ api.Memory, descriptor int32, stack []uint64) uint64 {
	how, ok := map[uint32]int{1: unix.SHUT_RD, 2: unix.SHUT_WR, 3: unix.SHUT_RDWR}[uint32(stack[1])]
	if !ok {
		return wasiInvalid
	}
	conn, err := s.get(descriptor)
	if err == nil {
		err = conn.Shutdown(how)
	}
	return socketErrno(err)
}

func socketAccept(s *sockets, memory api.Memory, descriptor int32, stack []uint64) uint64 {
	accepted, err := s.accept(descriptor)
	if err != nil {
		return socketErrno(err)
	}
	if !memory.WriteUint32Le(uint32(stack[2]), uint32(accepted)) {
		return socketErrno(errors.Join(unix.EFAULT, s.release(accepted)))
	}
	return 0
}

// hostDial is the import "network_dial": it begins to connect to what a tag is bound to. Parameters: the tag and its
// length. Result: a descriptor, or an error of WASI, which are all smaller.
func hostDial(ctx context.Context, mod api.Module, stack []uint64) {
	openTag(ctx, mod, stack, (*sockets).dial)
}

// hostListen is the import "network_listen": it begins to accept the connections of a tag. Parameters and result are those of
// hostDial.
func hostListen(ctx context.Context, mod api.Module, stack []uint64) {
	openTag(ctx, mod, stack, (*sockets).listen)
}

func openTag(ctx context.Context, mod api.Module, stack []uint64, open func(*sockets, string) (int32, error)) {
	s := ctx.Value(sandboxKey{}).(*sandbox)
	tag, ok := mod.Memory().Read(uint32(stack[0]), uint32(stack[1]))
	if !ok || len(tag) > maxName {
		panic(&guestFault{"it named a network tag outside its memory, or one whose name is too long"})
	}
	if s.sockets == nil {
		stack[0] = reasonErrors[network.Undeclared]
		return
	}
	s.acted = true
	descriptor, err := open(s.sockets, string(tag))
	if err != nil {
		s.logFailure(err)
		stack[0] = socketErrno(err)
		return
	}
	stack[0] = uint64(descriptor)
}

// logFailure writes why a tag can't be used to the function's log: where it leads, the function itself does not learn.
func (s *sandbox) logFailure(err error) {
	var failure *network.Error
	if errors.As(err, &failure) {
		// Names that others choose are in it. It is one line, which begins with what only the host writes.
		fmt.Fprintf(&s.stderr, "%s\n", strings.NewReplacer("\n", "; ", "\r", " ").Replace(failure.Error()))
	}
}

// hostStatus is the import "network_status": what became of a dial. Parameter: the descriptor. Result: an error of WASI,
// which is that for "try again" while the connection is being made. Why it failed is written to the function's log.
func hostStatus(ctx context.Context, _ api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox)
	if s.sockets == nil {
		stack[0] = wasiBadDescriptor
		return
	}
	_, err := s.sockets.get(int32(stack[0]))
	s.logFailure(err)
	stack[0] = socketErrno(err)
}
