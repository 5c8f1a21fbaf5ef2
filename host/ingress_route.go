package host

import (
	"slices"
	"strings"

	"countersign"
	"countersign/router"
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

// routeIngress is the routeFunc of a host.
func (h *Host) routeIngress(function string, header func(string) string) func() (place, error) {
	query := router.Query{Callee: function, Header: header}
	return func() (place, error) {
		choice, err := h.router.Route(&query)
		switch {
		case err != nil && h.router.Standalone && !h.knows(function):
			return place{}, countersign.Errorf(countersign.CodeUnknownFunction, function, "no function of this name runs here")
		case err != nil:
			return place{}, err
		case choice.Function != function:
			// The call is signed for the function that it names: no other can answer it.
			return place{}, countersign.Errorf(countersign.CodeUnavailable, function,
				"Consul leads the call to function %q: a call from outside can't be led to another function", choice.Function)
		}
		h.telemetry.Chose(function, choice.IsLocal)
		if choice.IsLocal {
			query.LocalTried = append(query.LocalTried, choice.Local.ID())
			return place{task: choice.Local}, nil
		}
		query.Tried = append(query.Tried, choice.Remote)
		return place{target: &target{Allocation: choice.Remote.Allocation, Address: choice.Remote.Address,
			Begin: choice.Remote.Begin, End: choice.Remote.End}}, nil
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
	for _, t := range h.running() {
		if t.Function() == function && !slices.Contains(tried, t) && t.running() {
			return t, nil
		}
	}
	return nil, countersign.Errorf(countersign.CodeUnavailable, function, "no other instance runs here")
}

// exactly returns the instance <allocation>.<function>, if it takes calls.
func (h *Host) exactly(function, serverName string) (*task, error) {
	allocation, ok := strings.CutSuffix(serverName, "."+function)
	for _, t := range h.running() {
		if ok && t.ID() == allocation && t.Function() == function && t.running() {
			return t, nil
		}
	}
	return nil, countersign.Errorf(countersign.CodeUnavailable, function, "the instance that was asked for does not run here")
}
