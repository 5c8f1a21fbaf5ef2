package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"countersign/client"
	"countersign/discovery"
	"countersign/hclspec"
	"countersign/terminal"
	"countersign/vaultsign/callsig"
)

const (
	callArgs    = "[flags] FUNCTION JSON|@FILE|-"
	callSummary = "call a function with a signed call, and print its verified return"
)

func init() { register(command{"call", callArgs, callSummary, call}) }

// callOptions are the flags of the verb.
type callOptions struct {
	identityOptions
	node           string
	timeout        time.Duration
	explain, plain bool
	anyNode        bool
	named          bool // -as was given
}

func (o *callOptions) flags(fs *flag.FlagSet) {
	o.identityOptions.flags(fs)
	fs.StringVar(&o.node, "node", "", "`host:port` of the node to ask (default: those that Consul knows)")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the return")
	fs.BoolVar(&o.explain, "explain", false, "show what was verified on the way, to standard error")
	fs.BoolVar(&o.anyNode, "any-node", false, "also call nodes that do not run the function, and pass calls on: "+
		"whoever holds a function's certificate can then read along")
	fs.BoolVar(&o.plain, "plain", false, "call over HTTP without TLS: signed all the same, but readable on the way")
}

func call(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "call", callArgs, callSummary)
	var o callOptions
	o.flags(fs)
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return &usageError{"want a function and a request"}
	}
	body, err := requestBody(s.in, rest[1])
	if err != nil {
		return err
	}
	fs.Visit(func(f *flag.Flag) { o.named = o.named || f.Name == "as" })
	ctx, cancel := context.WithTimeout(s.patient(ctx, "call"), o.timeout)
	defer cancel()
	self, err := o.self(ctx, s.err)
	if err != nil {
		return o.late(ctx, err)
	}
	nodes := func(ctx context.Context, function string) ([]string, error) { return o.nodes(ctx, s.err, function) }
	c := &client.Client{Identity: self.Identity, Trust: self.Trust, Nodes: nodes, Explain: o.explain, Plain: o.plain,
		AnyNode: o.anyNode}
	defer c.Close()
	answer, err := c.Call(ctx, rest[0], body)
	if answer != nil && o.explain {
		explain(s.err, c, answer)
	}
	if err != nil {
		return o.late(ctx, err)
	}
	fmt.Fprintf(s.out, "%s\n", answer.Body)
	return nil
}

// late says of an error that it came because the time for the call was over, if so: no server is to blame then.
func (o *callOptions) late(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("-timeout %s was over: %w", o.timeout, err)
	}
	return err
}

// requestBody reads the request: JSON as it is, from a file or from standard input.
func requestBody(in io.Reader, arg string) ([]byte, error) {
	switch {
	case arg == "-":
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("reading the request from standard input: %w", err)
		}
		return b, nil
	case strings.HasPrefix(arg, "@"):
		b, err := os.ReadFile(arg[1:])
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		return b, nil
	}
	return []byte(arg), nil
}

// self returns whom to call as: who is logged in, or, if nobody is, or somebody else than -as, whom Vault certifies now.
func (o *callOptions) self(ctx context.Context, notes io.Writer) (*client.Login, error) {
	id, err := o.id()
	if err != nil {
		return nil, err
	}
	file, err := o.file(discovery.VaultAddress())
	if err != nil {
		return nil, err
	}
	if only := client.OnlyLogin(o.trustDomain); os.Getenv("VAULT_ADDR") == "" && only != "" {
		file = only
	}
	kept, err := client.LoadLogin(file, o.trustDomain)
	over := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case o.named && kept.Identity.ID() != id:
	case kept.Identity.Certificate.CheckTime(time.Now()) == nil:
		return kept, nil
	default:
		over = fmt.Sprintf("the login as %s ended %s; `countersign login` renews it", kept.Identity.ID(),
			kept.Identity.Certificate.NotAfter.Local().Format(time.DateTime+" MST"))
	}
	v, err := discovery.Vault()
	if err != nil && over != "" {
		return nil, fmt.Errorf("%s (%w)", over, err)
	}
	if err != nil {
		return nil, err
	}
	if over != "" {
		fmt.Fprintln(notes, "countersign call:", over)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return o.issue(ctx, v, private, id, 0)
}

// consulTime is how long Consul may take when it is known from an earlier call where a function was.
const consulTime = 2 * time.Second

// nodes returns where function can be called, nearest first: as Consul tells, or as it told last if it does not answer.
func (o *callOptions) nodes(ctx context.Context, notes io.Writer, function string) ([]string, error) {
	if o.node != "" {
		return []string{o.node}, nil
	}
	catalog, err := discovery.NewCatalog()
	if err != nil {
		return nil, err
	}
	file, err := o.file(discovery.VaultAddress())
	if err != nil {
		return nil, err
	}
	known := discovery.Known{File: strings.TrimSuffix(file, ".pem") + "-nodes.json"}
	before := known.Nodes(function)
	asking, cancel := ctx, context.CancelFunc(func() {})
	if len(before) > 0 {
		asking, cancel = context.WithTimeout(ctx, consulTime)
	}
	defer cancel()
	nodes, err := catalog.Nodes(asking, function)
	var unanswered *url.Error
	switch {
	case err == nil && len(nodes) == 0:
		return nil, misspelt(asking, catalog, function)
	case err == nil:
		if err := known.Remember(function, nodes); err != nil {
			fmt.Fprintln(notes, "countersign call:", err)
		}
		return nodes, nil
	case ctx.Err() == nil && len(before) > 0 && errors.As(err, &unanswered):
		fmt.Fprintf(notes, "countersign call: Consul does not answer (%v); calling where %q was found before\n", err, function)
		return before, nil
	}
	return nil, &client.UnreachableError{Function: function, Err: err}
}

// misspelt is the error of a function that has no node because there is none of that name. If it can't be told, there is none:
// the client says that no instance is healthy.
func misspelt(ctx context.Context, catalog *discovery.Catalog, function string) error {
	functions, err := catalog.Functions(ctx)
	if err != nil || slices.Contains(functions, function) {
		return nil
	}
	return &client.UnreachableError{Function: function,
		Err: &hclspec.UnknownFunctionError{Name: function, Where: "that runs", Known: functions}}
}

// explain prints the hops of a call and what was verified at each.
func explain(w io.Writer, c *client.Client, a *client.Answer) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "CALL\tSIGNED WITH\tKEY\tVERIFIED\tTOOK\tID")
	row := func(caller, callee, algorithm, key, verified string, took time.Duration, id string) {
		if len(key) > 12 {
			key = key[:12] + "…"
		}
		for _, text := range []*string{&caller, &callee, &algorithm, &key, &verified, &id} { // hops below are what hosts say
			*text = terminal.Printable(*text)
		}
		fmt.Fprintf(tw, "%s → %s\t%s\t%s\t%s\t%s\t%s\n", shortID(caller), shortID(callee), algorithm, key, verified, took, id)
	}
	sig := a.Call.Signature
	row(c.Identity.ID().String(), a.Call.Call.Callee.String(), string(sig.Algorithm), sig.KeyID, callsig.Verified(a.Call, a.Return),
		a.Took.Round(time.Microsecond), a.Call.Call.ID)
	for _, h := range a.Hops {
		row(h.Caller, h.Callee, h.Algorithm, h.Key, h.Verified, time.Duration(h.Micros)*time.Microsecond, h.Call)
	}
	tw.Flush()
}

// shortID drops the trust domain of a SPIFFE ID.
func shortID(id string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	return rest
}
