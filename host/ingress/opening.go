package ingress

import (
	"io"
	"sync"
)

// opening holds the connections of which nothing is known yet: their first byte or their handshake is awaited. There is
// always room for one more, since who is in time is through in a moment. Over a source's share its own oldest connection
// is closed, and over the limit the oldest of the source that has most; but none of an address from which another host
// has come before, unless there are no others.
type opening struct {
	most, share int // in all, of one source

	mu     sync.Mutex
	held   map[source][]io.Closer // oldest first
	count  int
	hosts  map[source]bool // sources from which other hosts have come
	recent []source        // those in hosts, oldest first
}

// maxHosts is how many addresses of other hosts are remembered: the latest.
const maxHosts = 4096

func newOpening(most, share int) *opening {
	return &opening{most: most, share: share, held: map[source][]io.Closer{}, hosts: map[source]bool{}}
}

// add takes a connection in, and closes another one if there are too many.
func (o *opening) add(from source, c io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(o.held[from]) >= o.share:
		o.drop(from, 0)
	case o.count >= o.most:
		o.drop(o.largest(), 0)
	}
	o.held[from] = append(o.held[from], c)
	o.count++
}

// largest is the source with the most connections, one of no other host if there is one.
func (o *opening) largest() source {
	var found source
	most, isHost := 0, true
	for from, list := range o.held {
		host := o.hosts[from]
		if isHost && !host || isHost == host && len(list) > most {
			found, most, isHost = from, len(list), host
		}
	}
	return found
}

// drop closes the connection at a place in a source's list.
func (o *opening) drop(from source, at int) {
	o.held[from][at].Close()
	o.remove(from, at)
}

func (o *opening) remove(from source, at int) {
	list := o.held[from]
	list = append(list[:at:at], list[at+1:]...)
	if o.held[from] = list; len(list) == 0 {
		delete(o.held, from)
	}
	o.count--
}

// done lets a connection go, whether it is through or not, unless it was dropped before.
func (o *opening) done(from source, c io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for at, held := range o.held[from] {
		if held == c {
			o.remove(from, at)
			return
		}
	}
}

// proven remembers that another host has come from a source.
func (o *opening) proven(from source) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hosts[from] {
		return
	}
	if len(o.recent) == maxHosts {
		delete(o.hosts, o.recent[0])
		o.recent = o.recent[1:]
	}
	o.hosts[from], o.recent = true, append(o.recent, from)
}
