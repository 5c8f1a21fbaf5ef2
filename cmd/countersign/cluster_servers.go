package main

import (
	"context"
	"encoding/json"
	"fmt"

	"countersign/tools/progress"
	"countersign/tools/servers"
)

const (
	serversArgs    = "[-json]"
	serversSummary = "find or build the servers of a local cluster, and print where they are"
)

func init() {
	register(command{name: "cluster servers", args: serversArgs, summary: serversSummary, run: clusterServers})
}

// clusterServers makes sure that every server can be run, so that a machine can be prepared before a cluster is needed.
func clusterServers(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster servers", serversArgs, serversSummary)
	asJSON := fs.Bool("json", false, "print JSON")
	if rest, err := parse(fs, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return &usageError{fmt.Sprintf("unexpected argument %q", rest[0])}
	}
	all, err := servers.EnsureAll(ctx, progress.New(s.err))
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for _, r := range servers.All() {
		b := all[r.Name]
		fmt.Fprintf(s.out, "%-9s %-10s %s\n", b.Name, b.Version, b.Path)
	}
	return nil
}
