package router

import "time"

// Snapshot is what the router needs to know from Consul, as plain data. The zero value says that there is nothing: no
// function and no intention.
type Snapshot struct {
	// Functions holds the services that are registered with Consul.
	Functions []Function

	// Chains holds the compiled discovery chains of the functions that are called from this node.
	Chains []Chain

	// Intentions says who may call whom.
	Intentions []Intention

	// Distances holds the estimated round-trip time from this node to others, by name of the node. A node that is not
	// there counts as farther than any that is.
	Distances map[string]time.Duration
}

// Function is a service that is registered with Consul.
type Function struct {
	Name    string
	Ingress bool // some instance of it has the tag "ingress": it may be called from outside
}

// Chain is the compiled discovery chain of a function: a graph of routers, splitters and resolvers.
type Chain struct {
	Function string
	Start    string            // key of the first node
	Nodes    map[string]Node   // by a key that means nothing else
	Targets  map[string]Target // likewise
}

// Node is a node of a chain. Exactly one of its first three fields is set.
type Node struct {
	Routes   []Route   // of a service-router, to be tried in order
	Splits   []Split   // of a service-splitter
	Resolver *Resolver // of a service-resolver
	Balance  Balance
}

// Route is one route of a service-router.
type Route struct {
	Match          Match
	Next           string        // key of the next node
	RequestTimeout time.Duration // 0: not said
	NumRetries     int           // 0: not said
}

// Match is the condition of a Route. The zero value matches every call. The path of a call is /call/<function>, its
// method is POST, and it has no query parameters.
type Match struct {
	PathExact, PathPrefix, PathRegex string // at most one is not ""
	CaseInsensitive                  bool   // of the path
	Headers                          []HeaderMatch
	Methods                          []string // empty: any
	QueryParams                      bool     // there are conditions on query parameters: no call matches
}

// HeaderMatch is a condition on a header field. One of the conditions is set; without any it matches nothing. As in
// Envoy, a field that is absent matches only an inverted Present.
type HeaderMatch struct {
	Name                         string
	Present                      bool
	Exact, Prefix, Suffix, Regex string
	Invert                       bool
}

// Split is one branch of a splitter.
type Split struct {
	Weight float64 // per cent, to two decimals
	Next   string  // key of the next node
}

// Resolver says which target is called, and which are when it has no healthy instance.
type Resolver struct {
	Target         string        // key of the target
	Failover       []string      // keys of targets, in order
	ConnectTimeout time.Duration // 0: not said
	RequestTimeout time.Duration // 0: not said
}

// Target is a function, or a subset of its instances.
type Target struct {
	Function string
	Subset   string // name of the subset, or ""
	Filtered bool   // Endpoints are those that a filter lets through: an instance that is not listed is not a member
	// Endpoints holds the registered instances, healthy or not.
	Endpoints []Listed
}

// Listed is an instance of a function as Consul lists it.
type Listed struct {
	Allocation string // ID; an instance without is never called
	Release    string
	Node       string // name
	Address    string // host:port
	Interface  string // sha256:<hex>, or ""
	Passing    bool   // may be called, by its own checks and its node's
}

// Balance is the load balancer policy of a resolver or splitter. The zero value is the platform's own: same host first,
// then nearest, then the less busy of two.
type Balance struct {
	// Policy is one of "", "random", "round_robin", "least_request", "ring_hash" and "maglev", as in a
	// service-resolver. An unknown one counts as "".
	Policy string

	// Choices is how many instances least_request compares. 0 stands for 2.
	Choices int

	// Hash says what ring_hash and maglev hash, in order. A call for which none of them is there goes to a random
	// instance.
	Hash []HashOn
}

// HashOn is something to hash: a header field, or the calling function if Header is "".
type HashOn struct {
	Header   string
	Terminal bool // if it is there, what follows is not looked at
}

// Intention says whether a function may call another. Source and Destination are names, or "*" for any.
type Intention struct {
	Source, Destination string
	Allow               bool
	// Permissions, if there are any, decide instead of Allow: the first that matches, or no when none does.
	Permissions []Permission
}

// Permission is a permission of an intention. A condition that can't be known from the names of caller and callee
// (header fields, claims of a JWT) counts as met when the permission denies, and as not met when it allows.
type Permission struct {
	Allow                            bool
	PathExact, PathPrefix, PathRegex string   // at most one is not ""
	Methods                          []string // empty: any
	Unknowable                       bool     // there are conditions on header fields or a JWT
}
