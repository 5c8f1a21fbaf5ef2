package limits

import "sync"

const (
	// Waiting is how many calls of one allocation may wait for a place; those beyond are refused as overloaded.
	Waiting = 1024
	// CallBytes is what a call is booked with beside its messages, in bytes: the host has a stack and a few objects for each
	// that runs or waits.
	CallBytes = 8 << 10
	// framesShare is the part of the memory that is set aside for frames.
	framesShare = 64
)

// Frames is the account of the messages that the host holds for the calls of one allocation: requests that wait or run, and
// replies. A share of the memory is set aside for them, so that calls can come in while the sandboxes use all the rest;
// what they need beyond is taken from what is free. It can be used from several goroutines.
type Frames struct {
	memory  *Memory
	reserve int64

	mu     sync.Mutex
	held   int64 // bytes of messages
	booked int64 // bytes taken from memory, at least reserve and held
}

// NewFrames returns an account that sets its share of memory aside at once.
func NewFrames(memory *Memory) *Frames {
	f := &Frames{memory: memory, reserve: FramesReserve(memory.Limit())}
	f.booked = f.reserve
	memory.Book(f.reserve)
	return f
}

// FramesReserve is how many bytes of a memory are set aside for frames.
func FramesReserve(memory int64) int64 { return memory / framesShare }

// Take books n bytes before they are held, or refuses.
func (f *Frames) Take(n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if more := f.held + n - f.booked; more > 0 {
		if !f.memory.Take(more) {
			return false
		}
		f.booked += more
	}
	f.held += n
	return true
}

// Book books n bytes, a few, that must be held in any case.
func (f *Frames) Book(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held += n
	if more := f.held - f.booked; more > 0 {
		f.memory.Book(more)
		f.booked += more
	}
}

// Give returns n bytes that were taken.
func (f *Frames) Give(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held -= n
	keep := max(f.held, f.reserve)
	f.memory.Give(f.booked - keep)
	f.booked = keep
}

// Spare is how many bytes are set aside and not held.
func (f *Frames) Spare() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.booked - f.held
}

// Close returns what is set aside. Closing twice does nothing.
func (f *Frames) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reserve = 0
	f.memory.Give(f.booked - f.held)
	f.booked = f.held
}
