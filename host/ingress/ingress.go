// Package ingress answers what comes to a host's one port: calls from outside, health checks, metrics, and, by handing
// them on, the connections of other hosts. docs/ingress.md describes it.
//
// It owns the port, HTTP, who may call from outside and how they prove it, and the passing on of calls to other hosts. It
// must not know how an instance is admitted or started, nor Nomad and Consul: what it needs of its host is in Node.
//
// The way of a call, in the order of the files:
//
//	gate.go     accept a connection: plain or TLS, HTTP or a link
//	ingress.go  the HTTP server, and what is no call
//	arrival.go  one call: route, then at each place: verify (signed.go, bearer.go), run it here and sign the return
//	route.go    the places where it may run
//	forward.go  pass it on to another host; forwarded.go is what comes from one
package ingress

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"countersign"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/ingress/token"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// Limits of calls from outside, documented in docs/ingress.md.
const (
	maxHeaderBytes     = 16 << 10
	maxHeaderFields    = 64
	readHeaderTimeout  = 5 * time.Second
	readTimeout        = 30 * time.Second // of a whole request
	writeTimeout       = 30 * time.Second // of a whole answer
	idleTimeout        = 60 * time.Second
	maxStreams         = 256       // of one HTTP/2 connection
	maxBodies          = 512 << 20 // bytes of all request bodies at once
	defaultMaxCalls    = 1024
	pingAfter, pingFor = 15 * time.Second, 10 * time.Second // of an HTTP/2 connection that is silent
)

// Node is what a port needs of the host behind it. A *calls.Node is one.
type Node interface {
	// Route decides where a call goes; see calls.Node.
	Route(q *router.Query) (router.Choice[*calls.Instance], error)
	// Instances returns the instances that run here, those that are stopping included.
	Instances() []*calls.Instance
	// Refused counts a call that was not let through.
	Refused(function, side string, err error)
	// ServeLink serves a connection of another host until it ends.
	ServeLink(ctx context.Context, conn *tls.Conn)
}

// Config is what a Server works with.
type Config struct {
	Ingress     control.Ingress // what the driver's plugin block says
	Node        Node
	TrustDomain string
	Bind        string                  // IP address that connections to other hosts come from, and the host's name in traces
	Trust       func() *identity.Bundle // current; nil while there is none
	Replay      *callsig.ReplayCache    // remembers calls from outside, also beyond a restart
	Telemetry   *telemetry.Telemetry
	Log         *slog.Logger
}

// Server is a host's port.
type Server struct {
	config   Config
	log      *slog.Logger
	node     Node
	mux      *http.ServeMux
	http     *http.Server
	names    map[string]bool // authorities that signed calls may name; see isOwn
	address  map[string]bool // those of them that are the listener's address, and so no other host's
	verifier callsig.Verifier
	tokens   *token.Verifier // nil: no issuer is trusted

	route   routeFunc
	retry   retry.Policy
	forward *forwarder
	links   func(context.Context, *tls.Conn) // takes a connection of another host over; nil: none is accepted

	slots  *room   // a place for each call that is answered at a time
	shares *shares // of the slots
	bodies *room   // bytes of request bodies in memory

	requests      *room   // a place for each request that is being answered, calls included
	requestShares *shares // of these
	scrapes       *shares // of the readings of metrics

	openTimeout                    time.Duration // of a connection
	maxOpening, maxConnections     int
	openingShare, connectionsShare int
	maxCalls                       int
}

// New prepares a port. Nothing is asked over the network yet.
func New(config Config) (*Server, error) {
	in := &Server{config: config, log: config.Log, node: config.Node, mux: http.NewServeMux(), names: map[string]bool{}, address: map[string]bool{},
		retry: retry.Policy{Telemetry: config.Telemetry, Log: config.Log}, links: config.Node.ServeLink,
		bodies: newRoom(maxBodies), openTimeout: openTimeout, maxOpening: maxOpening, maxConnections: maxConnections,
		openingShare: openingShare, connectionsShare: connectionsShare,
		requests: newRoom(maxRequests), requestShares: newShares(requestsShare), scrapes: newShares(scrapesShare)}
	in.route = in.routeFromOutside
	most := config.Ingress.MaxCalls
	if most <= 0 {
		most = defaultMaxCalls
	}
	in.maxCalls, in.slots, in.shares = most, newRoom(int64(most)), newShares(most/2)
	for _, name := range config.Ingress.Names {
		in.names[strings.ToLower(name)] = true
	}
	if err := in.trustIssuers(); err != nil {
		return nil, err
	}
	in.forward = newForwarder(in)
	in.verifier.Trust, in.verifier.Replay, in.verifier.Authority = config.Trust, config.Replay, in.isOwn
	in.mux.HandleFunc("POST /call/{function}", in.serveCall)
	in.mux.HandleFunc("/call/{function}", in.serveNoCall)
	in.mux.HandleFunc("/", in.serveNothing)
	in.mux.HandleFunc("GET /v1/health/{allocation}", in.serveHealth)
	in.mux.HandleFunc("/v1/metrics", in.serveMetrics(config.Telemetry.Handler()))
	in.http = in.newServer()
	return in, nil
}

// trustIssuers prepares to verify the tokens of the issuers that the configuration names.
func (in *Server) trustIssuers() error {
	var issuers []token.Config
	for _, i := range in.config.Ingress.Issuers {
		issuers = append(issuers, token.Config(i))
	}
	if len(issuers) == 0 {
		return nil
	}
	var err error
	if in.tokens, err = token.New(issuers); err != nil {
		return fmt.Errorf("preparing to verify tokens: %w; mend `ingress.jwt` in the driver's plugin block", err)
	}
	return nil
}

func (in *Server) newServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: http.HandlerFunc(in.serve), Protocols: protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingFor,
			WriteByteTimeout: writeTimeout},
		ErrorLog: slog.NewLogLogger(in.log.Handler(), slog.LevelDebug)}
}

// Serve answers what comes to l until Close, or until ctx is done.
func (in *Server) Serve(ctx context.Context, l net.Listener) error {
	in.addNames(l.Addr())
	g := in.newGate(ctx, l)
	defer g.Close()
	return in.http.Serve(g)
}

// Close ends all HTTP connections.
func (in *Server) Close() error {
	in.forward.close()
	return in.http.Close()
}

// addNames makes the listener's address the host's own, and its port that of the names that have none.
func (in *Server) addNames(a net.Addr) {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return
	}
	in.address[net.JoinHostPort(host, port)] = true
	names := []string{host}
	for name := range in.names {
		if _, _, err := net.SplitHostPort(name); err != nil {
			names = append(names, strings.Trim(name, "[]"))
		}
	}
	for _, name := range names {
		in.names[net.JoinHostPort(name, port)] = true
	}
	if port == "80" || port == "443" { // left out of an authority
		short := strings.TrimSuffix(net.JoinHostPort(host, ""), ":")
		in.names[short], in.address[short] = true, true
	}
}

// isOwn tells whether an authority that a call was signed for is this host.
func (in *Server) isOwn(authority string) bool { return in.names[authority] }

// isAddress tells whether an authority is this host's own address. Other names may be those of several hosts, behind one
// load balancer.
func (in *Server) isAddress(authority string) bool { return in.address[authority] }

// serve bounds how many requests there are at a time. One that is too many is cut off: an answer to it would have to wait
// until it is read.
func (in *Server) serve(w http.ResponseWriter, r *http.Request) {
	release, ok := in.enter(r)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	defer release()
	if !isCall(r) {
		setWriteDeadline(w)
	}
	in.answer(w, r)
	flush(w, r)
}

// answer bounds how many fields a request may have, and lets the mux go on.
func (in *Server) answer(w http.ResponseWriter, r *http.Request) {
	fields := 0
	for _, lines := range r.Header {
		fields += len(lines)
	}
	if fields > maxHeaderFields {
		in.refuseWith(w, r, http.StatusRequestHeaderFieldsTooLarge, countersign.Errorf(countersign.CodeTooLarge, "",
			"the request has %d header fields; at most %d are read", fields, maxHeaderFields))
		return
	}
	in.mux.ServeHTTP(w, r)
}

// serveNoCall answers a request to a function that is no call.
func (in *Server) serveNoCall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", http.MethodPost)
	in.refuseWith(w, r, http.StatusMethodNotAllowed, countersign.Errorf(countersign.CodeBadRequest, r.PathValue("function"),
		"a function is called with POST, not %.16q", r.Method))
}

// serveNothing answers a request for what is not here.
func (in *Server) serveNothing(w http.ResponseWriter, r *http.Request) {
	in.refuseWith(w, r, http.StatusNotFound, countersign.Errorf(countersign.CodeBadRequest, "",
		"nothing is here; a call is POST /call/<function>"))
}

// serveHealth answers 200 while the allocation can be called, for the check that its Nomad job registers in Consul.
func (in *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	for _, at := range in.node.Instances() {
		if at.ID() == r.PathValue("allocation") {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]string{"function": at.Function(), "artifact": at.Artifact(), "state": "running"})
			return
		}
	}
	http.Error(w, "no such allocation runs here", http.StatusNotFound)
}

// setWriteDeadline gives a client writeTimeout to read the answer. A recorder of a test has no deadline to set.
func setWriteDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// allow takes one of the places for calls; the caller gives it back with release. host says that another host passed
// the call on.
func (in *Server) allow(function, remote string, host bool) (release func(), err error) {
	from := sourceOf(remote)
	if !host && !in.shares.take(from) {
		return nil, countersign.Errorf(countersign.CodeOverloaded, function,
			"this node answers %d calls from the same address at a time already; try again", in.shares.most)
	}
	giveShare := func() {
		if !host {
			in.shares.give(from)
		}
	}
	if !in.slots.take(1, host) {
		giveShare()
		return nil, countersign.Errorf(countersign.CodeOverloaded, function,
			"this node answers as many calls from outside at a time as it may, %d with those of other nodes; try again", in.maxCalls)
	}
	return func() { in.slots.give(1, host); giveShare() }, nil
}

// refuse answers a call that reached no instance: nobody can sign for the function, so the answer carries no
// signature.
func (in *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	in.refuseWith(w, r, problem.Status(countersign.CodeOf(err)), err)
}

// refuseWith is refuse with a status that says more about HTTP than the code's own.
func (in *Server) refuseWith(w http.ResponseWriter, r *http.Request, status int, err error) {
	p := problem.Of(err)
	p.Status = status
	in.log.Info("call refused", "function", r.PathValue("function"), "code", p.Code, "reason", p.Detail, "remote", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 section 3
	}
	setWriteDeadline(w)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}
