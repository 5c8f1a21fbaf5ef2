package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"countersign/callgraph"
	"countersign/discovery"
)

const (
	graphArgs    = "[-format table|dot|mermaid|svg|json] [-interval D] [-since-start] [-node HOST:PORT]..."
	graphSummary = "print who calls whom, how often and how fast, as the hosts observe it"
)

func init() { register(command{"graph", graphArgs, graphSummary, graph}) }

// formats are the ways to write a graph.
var formats = map[string]func(*callgraph.Graph, io.Writer) error{
	"table":   (*callgraph.Graph).WriteTable,
	"dot":     (*callgraph.Graph).WriteDOT,
	"mermaid": (*callgraph.Graph).WriteMermaid,
	"svg":     (*callgraph.Graph).WriteSVG,
	"json":    (*callgraph.Graph).WriteJSON,
}

func graph(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "graph", graphArgs, graphSummary)
	var o observer
	o.flags(fs, 5*time.Second)
	format := fs.String("format", "table", "`format`: table, dot, mermaid, svg or json")
	sinceStart := fs.Bool("since-start", false, "take all calls since the hosts started, and not those of an interval")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	write := formats[*format]
	switch {
	case len(rest) != 0:
		return &usageError{"want no arguments"}
	case write == nil:
		return &usageError{fmt.Sprintf("-format %q: want table, dot, mermaid, svg or json", *format)}
	case o.interval <= 0:
		return &usageError{"-interval: want a time over 0, such as 5s"}
	}
	var w callgraph.Window
	var lost []error
	if *sinceStart {
		var scrapes []*callgraph.Scrape
		scrapes, lost, err = o.scrape(ctx)
		w = callgraph.Total(scrapes)
	} else {
		w, lost, err = o.window(ctx)
	}
	for _, e := range lost {
		fmt.Fprintf(s.err, "countersign graph: left out: %v\n", e)
	}
	if err != nil {
		return err
	}
	return write(w.Graph(), s.out)
}

// observer finds hosts and reads their metrics.
type observer struct {
	interval time.Duration
	nodes    []string
}

func (o *observer) flags(fs *flag.FlagSet, interval time.Duration) {
	fs.DurationVar(&o.interval, "interval", interval, "how long to watch")
	fs.Func("node", "`host:port` of a host to ask; may be repeated (default: those that Consul knows)", func(v string) error {
		if _, _, err := net.SplitHostPort(v); err != nil {
			return errors.New("want host:port")
		}
		o.nodes = append(o.nodes, v)
		return nil
	})
}

// window reads the metrics twice, o.interval apart. It returns which hosts are left out, and an error if all are.
func (o *observer) window(ctx context.Context) (callgraph.Window, []error, error) {
	before, lost, err := o.scrape(ctx)
	if err != nil {
		return callgraph.Window{}, lost, err
	}
	select {
	case <-time.After(o.interval):
	case <-ctx.Done():
		return callgraph.Window{}, nil, ctx.Err()
	}
	after, lost, err := o.scrape(ctx)
	return callgraph.Between(before, after), lost, err
}

// scrapeWithin is scrape with a time limit.
func (o *observer) scrapeWithin(ctx context.Context, limit time.Duration) ([]*callgraph.Scrape, []error, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return o.scrape(ctx)
}

// scrape reads the metrics of all hosts once. It returns which hosts are left out, and an error if all are.
func (o *observer) scrape(ctx context.Context) ([]*callgraph.Scrape, []error, error) {
	addresses := o.nodes
	if len(addresses) == 0 {
		catalog, err := discovery.NewCatalog()
		if err != nil {
			return nil, nil, err
		}
		if addresses, err = catalog.Hosts(ctx); err != nil {
			return nil, nil, err
		}
	}
	scrapes, lost := callgraph.Fetch(ctx, http.DefaultClient, addresses)
	if len(scrapes) == 0 {
		return nil, lost, errors.New("no host answers")
	}
	return scrapes, lost, nil
}
