// Package client calls functions from outside: it signs calls with a client's certified key and hands out only returns
// that verify. It must not know where keys come from (vaultsign/identity/issue) or how a command prints.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"countersign"
	"countersign/strictjson"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 64 << 20

// Client calls functions. It is safe for concurrent use; its fields must not be changed after the first call.
type Client struct {
	// Identity signs the calls.
	Identity *identity.Identity
	// Trust verifies the certificates of functions.
	Trust *identity.Bundle
	// Nodes returns the addresses (host:port) of nodes that run a function, best first.
	Nodes func(ctx context.Context, function string) ([]string, error)
	// Plain sends calls over HTTP without TLS. Calls and returns are signed all the same, but anybody on the way can read
	// them. Without it, a node that does not speak TLS, or does not show the certificate of the function that is called, is
	// not called: only a node that Nomad placed the function on has one.
	Plain bool
	// AnyNode also calls nodes that do not run the function and pass calls on. The certificate of any function is taken
	// then: whoever holds one, and is on the way, can read calls and returns, and neither change nor answer them.
	AnyNode bool
	// Explain asks for the hops below each call.
	Explain bool
	// Idempotent says that the functions may execute a call twice: then it is made again at the next node when the
	// connection breaks before the return is there.
	Idempotent bool

	once       sync.Once
	mu         sync.Mutex
	transports map[identity.ID]*http.Transport // by whose certificate nodes have to show; the zero ID is any function's
	verifier   callsig.Verifier                // of returns; remembers certificates
}

// Answer is a verified return.
type Answer struct {
	Body   []byte
	Node   string // which node answered
	Call   *callsig.SignedCall
	Return *callsig.SignedReturn
	Hops   []countersign.Hop // with Client.Explain: the calls below this one, which its node verified
	Took   time.Duration
}

// UnreachableError says that no node that runs the function answered.
type UnreachableError struct {
	Function string
	Err      error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no node that runs function %q answered: %v", e.Function, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Unreachable marks the error as one that trying again may cure.
func (e *UnreachableError) Unreachable() bool { return true }

// Call runs function with a JSON request. What it returns was verified: the answer, or a *countersign.CallError that
// the function's instance signed. Other errors: *RefusedError for what a node answered without a signature,
// *callsig.Error for an answer that does not verify, *UnreachableError if there was no connection to any node, and
// *BrokenError if a connection broke, after which the call may have been executed.
func (c *Client) Call(ctx context.Context, function string, body []byte) (*Answer, error) {
	nodes, err := c.Nodes(ctx, function)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, &UnreachableError{Function: function, Err: errors.New("no healthy instance is in Consul; `nomad job status` tells more")}
	}
	var failed []error
	for _, node := range nodes {
		answer, err := c.callNode(ctx, node, function, body)
		if ctx.Err() != nil || !c.elsewhere(err) {
			return answer, err
		}
		var away *UnreachableError
		if errors.As(err, &away) {
			err = away.Err // said once for all nodes
		}
		failed = append(failed, err)
	}
	return nil, &UnreachableError{Function: function, Err: errors.Join(failed...)}
}

// elsewhere tells whether a call that failed may be made again at another node: nothing was executed, or the caller said
// that it may be twice.
func (c *Client) elsewhere(err error) bool {
	var unreachable *UnreachableError
	var broken *BrokenError
	var refused *RefusedError
	switch {
	case errors.As(err, &unreachable):
		return true
	case errors.As(err, &broken):
		return c.Idempotent
	case errors.As(err, &refused):
		return refused.Code == countersign.CodeUnavailable || refused.Code == countersign.CodeOverloaded
	}
	return false
}

// callNode signs a call, sends it to one node and verifies the return.
func (c *Client) callNode(ctx context.Context, node, function string, body []byte) (*Answer, error) {
	began := time.Now()
	callee, err := identity.FunctionID(c.Identity.ID().TrustDomain(), function)
	if err != nil {
		return nil, err
	}
	scheme := "https://"
	if c.Plain {
		scheme = "http://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+node+callsig.Path(callee), nil)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = began.Add(callsig.DefaultLifetime)
	}
	call := callsig.Call{Caller: c.Identity.ID(), Callee: callee, Authority: callsig.AuthorityOf(request), Deadline: deadline,
		ID: rand.Text(), Explain: c.Explain, Body: body}
	signed, err := callsig.SignRequest(request, callsig.NewSigner(c.Identity), call, began)
	if err != nil {
		return nil, fmt.Errorf("signing the call of function %q: %w", function, err)
	}
	answer := &Answer{Node: node, Call: signed}
	if err := c.exchange(request, signed, function, answer); err != nil {
		return nil, err
	}
	answer.Took = time.Since(began)
	return answer, resultOf(function, answer)
}

// exchange sends the request and fills in what the verified return says.
func (c *Client) exchange(request *http.Request, signed *callsig.SignedCall, function string, answer *Answer) error {
	response, err := c.transport(signed.Call.Callee).RoundTrip(request)
	if err != nil {
		return notAnswered(function, request.URL.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return notAnswered(function, request.URL.Host, fmt.Errorf("reading the answer: %w", err))
	}
	if len(body) > maxAnswer {
		return countersign.Errorf(countersign.CodeTooLarge, function, "the answer has more than %d bytes", maxAnswer)
	}
	answer.Return, err = c.verifier.VerifyResponse(response, body, request, signed)
	if err != nil {
		return unverified(response, body, function, err)
	}
	answer.Body = answer.Return.Return.Body
	if c.Explain && answer.Return.Return.Explain != "" {
		if err := strictjson.DecodeOpen([]byte(answer.Return.Return.Explain), &answer.Hops); err != nil {
			return fmt.Errorf("reading %s of a verified return: %w", callsig.HeaderExplain, err)
		}
	}
	return nil
}

// resultOf returns the error that a verified return carries, or nil.
func resultOf(function string, answer *Answer) error {
	r := answer.Return.Return
	if r.Code == "" {
		return nil
	}
	return &countersign.CallError{Code: r.Code, Function: function, Reason: detailOf(r.Body)}
}
