package limits

import "sync/atomic"

// Memory is the account of the memory that all sandboxes of one allocation share. It can be used from several goroutines.
type Memory struct {
	limit   int64
	used    atomic.Int64
	peak    atomic.Int64
	reclaim func() bool
}

// NewMemory returns an account of limit bytes. reclaim frees memory that nobody uses now, and tells whether there was
// any; nil: there never is.
func NewMemory(limit int64, reclaim func() bool) *Memory {
	if reclaim == nil {
		reclaim = func() bool { return false }
	}
	return &Memory{limit: limit, reclaim: reclaim}
}

// Limit is how many bytes there are.
func (m *Memory) Limit() int64 { return m.limit }

// Used is how many bytes are held now.
func (m *Memory) Used() int64 { return m.used.Load() }

// Peak is the most that was ever held, in bytes.
func (m *Memory) Peak() int64 { return m.peak.Load() }

// Take books n bytes before they are used, or refuses.
func (m *Memory) Take(n int64) bool {
	for !m.tryTake(n, m.limit) {
		if !m.reclaim() {
			return false
		}
	}
	return true
}

// TakeOfHalf is Take, but refuses when more than half of what there is would be held then: for what waits, so that it
// leaves room for what runs.
func (m *Memory) TakeOfHalf(n int64) bool { return m.tryTake(n, m.limit/2) }

func (m *Memory) tryTake(n, limit int64) bool {
	for {
		used := m.used.Load()
		if n > limit-used {
			return false
		}
		if m.used.CompareAndSwap(used, used+n) {
			m.raisePeak(used + n)
			return true
		}
	}
}

// Book books n bytes that are in use already, or with n below 0 those that are free again. It tells whether what is held
// is within the limit.
func (m *Memory) Book(n int64) bool {
	used := m.used.Add(n)
	m.raisePeak(used)
	return used <= m.limit
}

func (m *Memory) raisePeak(used int64) {
	for {
		peak := m.peak.Load()
		if used <= peak || m.peak.CompareAndSwap(peak, used) {
			return
		}
	}
}

// Give returns n bytes that were taken.
func (m *Memory) Give(n int64) { m.used.Add(-n) }
