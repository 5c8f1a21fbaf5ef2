package wasm

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

const (
	// maxSubscriptions bounds one poll_oneoff. Go's runtime has one for each goroutine that waits for a connection, and one
	// for the clock.
	maxSubscriptions = 4096
	// shortWait is how long a wait keeps its thread. Most answers of a server nearby come sooner than a thread could be given
	// away and another be woken.
	shortWait = 50 * time.Microsecond

	subscriptionSize = 48
	eventSize        = 32

	kindClock = 0
	kindRead  = 1
	kindWrite = 2
)

// subscription is something that the guest waits for.
type subscription struct {
	user       uint64
	kind       byte
	descriptor int32
	at         time.Time // of a clock
}

// poll is one poll_oneoff.
type poll struct {
	sandbox *sandbox
	subs    []subscription
	out     []byte // where the events go
	events  uint32

	deadline time.Time // of the first clock; zero: there is none
	refill   time.Time // when the rate of a tag lets something pass again; zero: it does
	idle     int       // the subscription of the idleDescriptor, or -1
	now      bool      // the guest only looks
	fds      []unix.PollFd
	of       []int // subscription of each
}

// withSockets makes poll_oneoff wait for connections as well.
func withSockets(original api.GoModuleFunction) api.GoModuleFunction {
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		count := uint32(stack[2])
		if count == 0 || count > maxSubscriptions {
			stack[0] = wasiInvalid
			return
		}
		s, ok := ctx.Value(sandboxKey{}).(*sandbox)
		if !ok || s.sockets == nil {
			original.Call(ctx, mod, stack)
			return
		}
		memory := mod.Memory()
		in, ok1 := memory.Read(uint32(stack[0]), count*subscriptionSize)
		out, ok2 := memory.Read(uint32(stack[1]), count*eventSize)
		if !ok1 || !ok2 {
			stack[0] = wasiFault
			return
		}
		p := &poll{sandbox: s, out: out, idle: -1}
		if ours, ok := p.read(in); !ok {
			stack[0] = wasiUnsupported
		} else if !ours {
			original.Call(ctx, mod, stack)
		} else if p.run(); !memory.WriteUint32Le(uint32(stack[3]), p.events) {
			stack[0] = wasiFault
		} else {
			stack[0] = 0
		}
	})
}

// read reads the subscriptions, and tells whether one is for a connection, and whether all can be waited for.
func (p *poll) read(in []byte) (ours, ok bool) {
	now := time.Now()
	for ; len(in) > 0; in = in[subscriptionSize:] {
		one := subscription{user: binary.LittleEndian.Uint64(in), kind: in[8]}
		switch one.kind {
		case kindClock:
			if binary.LittleEndian.Uint16(in[40:]) != 0 { // a time, not a span: wazero can't do that either
				return ours, false
			}
			span := time.Duration(min(binary.LittleEndian.Uint64(in[24:]), math.MaxInt64/2))
			one.at = now.Add(span)
			p.now = p.now || span == 0
			p.deadline = earlier(p.deadline, one.at)
		case kindRead, kindWrite:
			one.descriptor = int32(binary.LittleEndian.Uint32(in[16:]))
			ours = ours || one.descriptor >= idleDescriptor
			if one.descriptor == idleDescriptor && one.kind == kindRead {
				p.idle = len(p.subs)
			}
		default:
			return ours, false
		}
		p.subs = append(p.subs, one)
	}
	return ours, true
}

// earlier is the earlier of two times. A zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// run waits until something has happened, or the sandbox is to stop: the next safepoint then ends the guest.
func (p *poll) run() {
	for waited := time.Duration(0); ; waited = shortWait {
		p.look(waited)
		switch {
		case p.idle >= 0 && p.settled():
			p.sandbox.sockets.idle = true
			p.emit(p.idle, 0)
			return
		case p.events > 0 || p.now || p.sandbox.isHalted():
			return
		case waited > 0:
			p.park()
		}
	}
}

// settled tells whether the guest may read its idleDescriptor: nothing else has happened, or something has too often.
func (p *poll) settled() bool {
	s := p.sandbox.sockets
	s.rounds++
	return p.events == 0 && !p.now || s.rounds > maxRounds
}

// look waits a short time for what the guest waits for, and emits what has happened.
func (p *poll) look(wait time.Duration) {
	p.collect()
	if p.events > 0 {
		wait = 0
	}
	timeout := unix.NsecToTimespec(int64(wait))
	if n, err := unix.Ppoll(p.fds, &timeout, nil); err == nil && n > 0 {
		for i, fd := range p.fds {
			if fd.Revents != 0 {
				p.emit(p.of[i], 0)
			}
		}
	}
	for i, one := range p.subs {
		if one.kind == kindClock && p.events == 0 && !time.Now().Before(one.at) {
			p.emit(i, 0)
		}
	}
}

// collect emits what has happened without a look at the kernel, and lists what the kernel knows about.
func (p *poll) collect() {
	p.fds, p.of, p.refill = p.fds[:0], p.of[:0], time.Time{}
	s := p.sandbox.sockets
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range p.subs {
		if one.kind == kindClock || one.descriptor == idleDescriptor {
			continue
		}
		k := s.socket(one.descriptor)
		switch {
		case k == nil && one.descriptor >= firstSocket:
			p.emit(i, wasiBadDescriptor)
		case k == nil: // standard input, and files: they never block
			p.emit(i, 0)
		case k.err != nil:
			p.emit(i, 0)
		case k.conn != nil || k.listener != nil:
			if k.conn != nil {
				if wait := k.conn.Wait(); wait > 0 {
					p.refill = earlier(p.refill, time.Now().Add(wait))
					continue
				}
			}
			events := int16(unix.POLLIN)
			if one.kind == kindWrite {
				events = unix.POLLOUT
			}
			p.fds, p.of = append(p.fds, unix.PollFd{Fd: int32(k.descriptor()), Events: events}), append(p.of, i)
		}
	}
}

// emit tells the guest that a subscription has happened.
func (p *poll) emit(i int, errno uint16) {
	one := p.subs[i]
	event := p.out[p.events*eventSize:][:eventSize]
	clear(event)
	binary.LittleEndian.PutUint64(event, one.user)
	binary.LittleEndian.PutUint16(event[8:], errno)
	event[10] = one.kind
	p.events++
}

// park waits without a thread until something may have happened.
func (p *poll) park() {
	s := p.sandbox.sockets
	p.arm()
	// A deadline that has passed already ends the wait at once; it can't fail otherwise.
	_ = s.epoll.SetReadDeadline(earlier(p.deadline, p.refill))
	raw, err := s.epoll.SyscallConn()
	if err != nil {
		return
	}
	// While it waits, it may have no thread of its own: there can be as many as calls.
	p.sandbox.watch.pause()
	defer p.sandbox.watch.begin()
	var happened [16]unix.EpollEvent
	_ = raw.Read(func(uintptr) bool {
		n, _ := unix.EpollWait(s.epollFD, happened[:], 0)
		return n > 0 || p.sandbox.isHalted()
	})
	var count [8]byte
	_, _ = unix.Read(s.event, count[:])
}

// arm has the epoll tell once of each connection that the guest waits for.
func (p *poll) arm() {
	s := p.sandbox.sockets
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, fd := range p.fds {
		s.socket(p.subs[p.of[i]].descriptor).want |= fd.Events
	}
	for i, fd := range p.fds {
		k := s.socket(p.subs[p.of[i]].descriptor)
		if k.want == 0 {
			continue // it was waited for twice
		}
		event, op := unix.EpollEvent{Events: unix.EPOLLONESHOT | uint32(k.want)}, unix.EPOLL_CTL_MOD
		if !k.added {
			op, k.added = unix.EPOLL_CTL_ADD, true
		}
		k.want = 0
		if unix.EpollCtl(s.epollFD, op, int(fd.Fd), &event) != nil {
			s.signal() // look again at once, rather than wait for what will not be told
		}
	}
}
