package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"countersign/host/network"

	"golang.org/x/sys/unix"
)

const (
	// idleDescriptor can be read once nothing else that the guest waits for has happened. What runs before the next call
	// waits for it, so that goroutines which the last one left behind see what became of their connections.
	idleDescriptor = 1 << 20
	// firstSocket is the first descriptor of a connection. Those below idleDescriptor are wazero's.
	firstSocket = idleDescriptor + 1
	// maxSockets bounds the connections of one sandbox. Go's runtime ends a program whose poll_oneoff fails, so twice as
	// many subscriptions, and one for the clock, have to fit into maxSubscriptions.
	maxSockets = 1024
	// maxListeners bounds the listeners of one sandbox: each is a descriptor of the host, and no limit of the tag counts it.
	maxListeners = 16
	// maxRounds is how often a guest that waits for its idleDescriptor is given something else first. A server that never stops
	// sending would otherwise keep the next call from beginning.
	maxRounds = 1000
)

// sockets are the connections of one sandbox. What the guest does with them is done by the goroutine that runs the guest;
// connections are made by goroutines of their own.
type sockets struct {
	tags *network.Tags
	idle bool // the guest may read its idleDescriptor

	rounds int // how often something else has happened while the guest waits for its idleDescriptor

	epoll   *os.File // readable when one of those armed is, or the eventfd
	epollFD int      // its descriptor, which os.File.Fd would make blocking
	event   int      // eventfd that ends a wait

	mu     sync.Mutex
	open   []*socket // by descriptor from firstSocket on; nil where there is none
	closed bool
}

// socket is a connection, one that is being made, one that could not be made, or a listener. The lock of its sockets guards it.
type socket struct {
	cancel   context.CancelFunc // of its making; nil: it was not dialed
	conn     *network.Conn      // nil: there is none, or not yet
	err      error              // why there is none
	listener *network.Listener  // or nil

	want  int16 // events that the guest waits for, while it is waited for
	added bool  // to epoll
}

func newSockets(tags *network.Tags) (s *sockets, err error) {
	s = &sockets{tags: tags, event: -1}
	s.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("preparing to wait for connections: %w", err)
	}
	// Go's runtime waits for what does not block, without a thread for each.
	err = unix.SetNonblock(s.epollFD, true)
	s.epoll = os.NewFile(uintptr(s.epollFD), "epoll")
	defer func() {
		if err != nil {
			s.close()
			s = nil
			err = fmt.Errorf("preparing to wait for connections: %w", err)
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := s.epoll.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if s.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	return s, unix.EpollCtl(s.epollFD, unix.EPOLL_CTL_ADD, s.event, &unix.EpollEvent{Events: unix.EPOLLIN})
}

// wake ends a wait. It may be called at any time by anybody.
func (s *sockets) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal()
}

// signal is wake for who holds the lock.
func (s *sockets) signal() {
	if !s.closed {
		// It fails only if the event is set already.
		_, _ = unix.Write(s.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// close ends all connections.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, k := range s.open {
		if k != nil {
			k.end()
		}
	}
	s.open = nil
	s.epoll.Close()
	if s.event >= 0 {
		_ = unix.Close(s.event)
	}
}

func (k *socket) end() {
	if k.cancel != nil {
		k.cancel()
	}
	if k.conn != nil {
		k.conn.Close()
	}
	if k.listener != nil {
		k.listener.Close()
	}
}

// descriptor is that of the host to wait for.
func (k *socket) descriptor() int {
	if k.listener != nil {
		return k.listener.Descriptor()
	}
	return k.conn.Descriptor()
}

// dial begins to connect to what a tag is bound to, and returns the descriptor that can be written once that is done.
func (s *sockets) dial(tag string) (int32, error) {
	ctx, cancel := context.WithCancel(context.Background())
	k := &socket{cancel: cancel}
	descriptor, err := s.add(k)
	if err != nil {
		cancel()
		return 0, err
	}
	go func() {
		conn, err := s.tags.Dial(ctx, tag)
		s.mu.Lock()
		defer s.mu.Unlock()
		if ctx.Err() != nil && conn != nil { // nobody wants it any more
			conn.Close()
			return
		}
		k.conn, k.err = conn, err
		s.signal()
	}()
	return descriptor, nil
}

// listen begins to accept the connections of a tag.
func (s *sockets) listen(tag string) (int32, error) {
	if s.listeners() >= maxListeners {
		return 0, unix.EMFILE
	}
	l, err := s.tags.Listen(tag)
	if err != nil {
		return 0, err
	}
	descriptor, err := s.add(&socket{listener: l})
	if err != nil {
		l.Close()
	}
	return descriptor, err
}

func (s *sockets) listeners() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.open {
		if k != nil && k.listener != nil {
			n++
		}
	}
	return n
}

// accept gives a connection that waits a descriptor.
func (s *sockets) accept(descriptor int32) (int32, error) {
	s.mu.Lock()
	k := s.socket(descriptor)
	s.mu.Unlock()
	switch {
	case k == nil:
		return 0, unix.EBADF
	case k.listener == nil:
		return 0, unix.EINVAL
	}
	conn, err := k.listener.Accept()
	if err != nil {
		return 0, err
	}
	accepted, err := s.add(&socket{conn: conn})
	if err != nil {
		conn.Close()
	}
	return accepted, err
}

// add gives a socket the lowest free descriptor.
func (s *sockets) add(k *socket) (int32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.open {
		if other == nil {
			s.open[i] = k
			return firstSocket + int32(i), nil
		}
	}
	if len(s.open) >= maxSockets {
		return 0, unix.EMFILE
	}
	s.open = append(s.open, k)
	return firstSocket + int32(len(s.open)-1), nil
}

// errConnecting says that a connection is being made still.
var errConnecting = errors.New("the connection is being made")

// get returns a connection, with the errors errConnecting, unix.EBADF, or why it could not be made.
func (s *sockets) get(descriptor int32) (*network.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.socket(descriptor)
	switch {
	case k == nil:
		return nil, unix.EBADF
	case k.listener != nil:
		return nil, unix.ENOTCONN
	case k.conn == nil && k.err == nil:
		return nil, errConnecting
	}
	return k.conn, k.err
}

// socket returns what a descriptor stands for, or nil. The lock is held.
func (s *sockets) socket(descriptor int32) *socket {
	i := int64(descriptor) - firstSocket
	if i < 0 || i >= int64(len(s.open)) {
		return nil
	}
	return s.open[i]
}

// release ends a connection.
func (s *sockets) release(descriptor int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.socket(descriptor)
	if k == nil {
		return unix.EBADF
	}
	s.open[descriptor-firstSocket] = nil
	k.end()
	return nil
}

// read reads from a descriptor what is there.
func (s *sockets) read(descriptor int32, p []byte) (int, error) {
	if descriptor == idleDescriptor {
		return s.readIdle(p)
	}
	conn, err := s.get(descriptor)
	if err != nil {
		return 0, err
	}
	return conn.Read(p)
}

func (s *sockets) readIdle(p []byte) (int, error) {
	if !s.idle || len(p) == 0 {
		return 0, unix.EAGAIN
	}
	s.idle, s.rounds, p[0] = false, 0, 0
	return 1, nil
}

// write writes to a descriptor what fits.
func (s *sockets) write(descriptor int32, p []byte) (int, error) {
	conn, err := s.get(descriptor)
	if err != nil {
		return 0, err
	}
	return conn.Write(p)
}

// datagram tells whether each read and write of a descriptor is one datagram.
func (s *sockets) datagram(descriptor int32) bool {
	conn, err := s.get(descriptor)
	return err == nil && conn.Datagram()
}
