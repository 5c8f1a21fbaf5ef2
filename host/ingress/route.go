package ingress

import (
	"slices"
	"strconv"

	"countersign"
	"countersign/host/calls"
	"countersign/host/link"
	"countersign/host/retry"
	"countersign/router"
	"countersign/vaultsign/callsig"
)

// routeFunc begins the routing of one call from outside. header returns fields of the request. The function that it
// returns names the place to try next, and none that it named before, with the limits of the config entries; its errors
// are *countersign.CallError.
type routeFunc func(function string, header func(name string) string) nextFunc

type nextFunc func() (place, *router.Policy, error)

// place is where a call may run: an instance of this host, or one of another.
type place struct {
	instance *calls.Instance // nil: target
	target   retry.Target
}

// routeFromOutside is the routeFunc of calls from outside.
func (in *Server) routeFromOutside(function string, header func(string) string) nextFunc {
	query := router.Query{Callee: function, Header: header, Fits: stated(header(callsig.HeaderInterface))}
	return func() (place, *router.Policy, error) {
		choice, err := in.node.Route(&query)
		switch {
		case err != nil:
			return place{}, nil, err
		case choice.Function != function:
			// The call is signed for the function that it names: no other can answer it.
			return place{}, nil, countersign.Errorf(countersign.CodeUnavailable, function,
				"Consul leads the call to function %q: a call from outside can't be led to another function", choice.Function)
		}
		in.config.Telemetry.Chose(function, choice.IsLocal)
		if choice.IsLocal {
			query.LocalTried = append(query.LocalTried, choice.Local.ID())
			return place{instance: choice.Local}, choice.Policy, nil
		}
		query.Tried = append(query.Tried, choice.Remote)
		return place{target: retry.TargetOf(choice.Remote)}, choice.Policy, nil
	}
}

// stated is the Fits of a client that says which interface it was built with; nil for one that does not. Nothing is
// verified yet: a client can choose by it among the instances that it may call.
func stated(field string) func(string) bool {
	digest, err := strconv.Unquote(field)
	if err != nil || !countersign.ValidDigest(digest) {
		return nil
	}
	return func(met string) bool { return met == digest }
}

// routeForwarded routes a call that another node passed on to the instance with a TLS server name. Only if that stops
// meanwhile another instance of this host is taken: on this node, the call's nonce is used up.
func (in *Server) routeForwarded(function, serverName string) nextFunc {
	var tried []*calls.Instance
	return func() (place, *router.Policy, error) {
		for _, at := range in.node.Instances() {
			asked := len(tried) > 0 || link.ServerName(at.ID(), function) == serverName
			if asked && at.Function() == function && at.Accepts() && !slices.Contains(tried, at) {
				tried = append(tried, at)
				return place{instance: at}, nil, nil
			}
		}
		if len(tried) > 0 {
			return place{}, nil, countersign.Errorf(countersign.CodeUnavailable, function, "no other instance runs here")
		}
		return place{}, nil, countersign.Errorf(countersign.CodeUnavailable, function, "the instance that was asked for does not run here")
	}
}
