package host

import (
	"slices"
	"strings"

	"countersign"
)

// routeFunc begins the routing of one call from outside. header returns fields of the request. The function that it
// returns names the place to try next, and none that it named before; its errors are *countersign.CallError.
type routeFunc func(function string, header func(name string) string) func() (place, error)

// place is where a call may run: an instance of this host, or one of another.
type place struct {
	task   *task
	target *target
}

// target is an instance on another host.
type target struct {
	Allocation string
	Address    string            // host:port of its host
	Begin      func()            // called before the call is sent; or nil
	End        func(failed bool) // called when it was answered, or could not be; or nil
}

// routeHere is a routeFunc that knows the instances of this host only.
func (h *Host) routeHere(function string, _ func(string) string) func() (place, error) {
	var tried []*task
	return func() (place, error) {
		t, err := h.pick(function, tried)
		if err != nil {
			return place{}, err
		}
		tried = append(tried, t)
		return place{task: t}, nil
	}
}

// routeForwarded routes a call that another node passed on to the instance with a TLS server name. Only if that stops
// meanwhile another instance of this host is taken: on this node, the call's nonce is used up.
func (h *Host) routeForwarded(function, serverName string) func() (place, error) {
	var tried []*task
	return func() (place, error) {
		var t *task
		var err error
		if len(tried) > 0 {
			t, err = h.pick(function, tried)
		} else {
			t, err = h.exactly(function, serverName)
		}
		if err != nil {
			return place{}, err
		}
		tried = append(tried, t)
		return place{task: t}, nil
	}
}

// pick returns an instance of this host that was not tried.
func (h *Host) pick(function string, tried []*task) (*task, error) {
	if len(tried) == 0 {
		t, err := h.table.Pick(function)
		if err != nil && !h.knows(function) {
			return nil, countersign.Errorf(countersign.CodeUnknownFunction, function, "no function of this name runs here")
		}
		return t, err
	}
	for _, t := range h.running() {
		if t.Function() == function && !slices.Contains(tried, t) && t.accepts() {
			return t, nil
		}
	}
	return nil, countersign.Errorf(countersign.CodeUnavailable, function, "no other instance runs here")
}

// accepts tells whether the task takes calls now.
func (t *task) accepts() bool {
	if t.begin() != nil {
		return false
	}
	t.end()
	return true
}

// exactly returns the instance <allocation>.<function>, if it takes calls.
func (h *Host) exactly(function, serverName string) (*task, error) {
	allocation, ok := strings.CutSuffix(serverName, "."+function)
	for _, t := range h.running() {
		if ok && t.ID() == allocation && t.Function() == function && t.accepts() {
			return t, nil
		}
	}
	return nil, countersign.Errorf(countersign.CodeUnavailable, function, "the instance that was asked for does not run here")
}
