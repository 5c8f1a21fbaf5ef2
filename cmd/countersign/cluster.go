package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"countersign/cluster"
)

const (
	upArgs        = "[-dir DIR] [-nodes N] [-trust-domain NAME] [-driver FILE | -no-driver] [-raw-exec]"
	upSummary     = "start a local cluster of Vault, Consul, Nomad and a registry"
	statusArgs    = "[-dir DIR] [-json]"
	statusSummary = "show what the local cluster does"
	downArgs      = "[-dir DIR] [-purge]"
	downSummary   = "stop the local cluster and leave nothing of it running"
	faultArgs     = "[-dir DIR] NODE|PROCESS"
	pauseSummary  = "stop a node, such as 2, or a process, such as consul-2, with SIGSTOP"
	resumeSummary = "let a paused node or process go on"
	killSummary   = "end a node, such as 2, or a process, such as consul-2, with SIGKILL"
	cutArgs       = "[-dir DIR] NODE NODE"
	cutSummary    = "cut the network between two nodes, or a node and the servers, which are 0"
	healArgs      = "[-dir DIR]"
	healSummary   = "mend what was cut"
	dirUsage      = "state `directory` of the cluster"
)

// clusterDir is where the cluster is whose env file was sourced, otherwise where one is made in this directory.
func clusterDir() string { return envOr("COUNTERSIGN_DIR", cluster.DefaultDir) }

func init() {
	register(command{name: "cluster up", args: upArgs, summary: upSummary, run: clusterUp})
	register(command{name: "cluster status", args: statusArgs, summary: statusSummary, run: clusterStatus})
	register(command{name: "cluster down", args: downArgs, summary: downSummary, run: clusterDown})
	register(command{name: "cluster pause", args: faultArgs, summary: pauseSummary,
		run: clusterFault("cluster pause", pauseSummary, (*cluster.Env).PauseNode, (*cluster.Env).Pause)})
	register(command{name: "cluster resume", args: faultArgs, summary: resumeSummary,
		run: clusterFault("cluster resume", resumeSummary, (*cluster.Env).ResumeNode, (*cluster.Env).Resume)})
	register(command{name: "cluster kill", args: faultArgs, summary: killSummary,
		run: clusterFault("cluster kill", killSummary, (*cluster.Env).KillNode, (*cluster.Env).Kill)})
	register(command{name: "cluster cut", args: cutArgs, summary: cutSummary, run: clusterCut})
	register(command{name: "cluster heal", args: healArgs, summary: healSummary, run: clusterHeal})
}

func clusterUp(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster up", upArgs, upSummary)
	o := cluster.Options{Progress: s.err}
	fs.StringVar(&o.Dir, "dir", cluster.DefaultDir, dirUsage)
	fs.Func("nodes", fmt.Sprintf("`number` of nodes, 1 to %d (default 1, or what the directory has)", cluster.MaxNodes),
		func(text string) (err error) {
			if o.Nodes, err = strconv.Atoi(text); err != nil || o.Nodes < 1 || o.Nodes > cluster.MaxNodes {
				err = fmt.Errorf("want a number from 1 to %d", cluster.MaxNodes)
			}
			return err
		})
	fs.StringVar(&o.TrustDomain, "trust-domain", "", "SPIFFE trust domain `name` of a new cluster (default "+
		cluster.DefaultTrustDomain+")")
	fs.StringVar(&o.DriverBinary, "driver", "", "built nomad-driver-countersign `file` (default the one beside this "+
		"command, else it is built from the checkout)")
	fs.BoolVar(&o.NoDriver, "no-driver", false, "do without the Nomad driver; the cluster can't run functions")
	fs.BoolVar(&o.RawExec, "raw-exec", false, "let Nomad's jobs run any command of this machine, unconfined")
	if err := noArguments(parse(fs, args)); err != nil {
		return err
	}
	if o.NoDriver && o.DriverBinary != "" {
		return &usageError{"-driver and -no-driver exclude each other"}
	}
	if self, err := os.Executable(); err == nil && filepath.Base(self) == "countersign" {
		o.CLI = self
		beside := filepath.Join(filepath.Dir(self), "nomad-driver-countersign")
		if _, err := os.Stat(beside); err == nil && o.DriverBinary == "" && !o.NoDriver {
			o.DriverBinary = beside
		}
	}
	env, err := cluster.Up(ctx, o)
	if err != nil {
		return err
	}
	status, err := cluster.StatusOf(ctx, env.Dir)
	if err != nil {
		return err
	}
	printNext(s.out, status)
	return nil
}

// printNext tells what can be done with a cluster that is up.
func printNext(w io.Writer, status cluster.Status) {
	fmt.Fprintln(w)
	for _, server := range status.Servers {
		if server.UI != "" {
			fmt.Fprintf(w, "%-9s %s\n", server.Name, server.UI)
		}
	}
	fmt.Fprintf(w, "\nUse it:   source %s\nStop it:  countersign cluster down -dir %s\n",
		shown(filepath.Join(status.Env.Dir, "env")), shown(status.Env.Dir))
}

// shown is a path as a person would type it.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			path = rel
		}
	}
	if strings.ContainsAny(path, " '\"$\\") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func clusterStatus(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster status", statusArgs, statusSummary+"; the exit code is 0 if everything serves")
	dir := fs.String("dir", clusterDir(), dirUsage)
	asJSON := fs.Bool("json", false, "print JSON")
	if err := noArguments(parse(fs, args)); err != nil {
		return err
	}
	status, err := cluster.StatusOf(ctx, *dir)
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(status)
	} else {
		printStatus(s.out, status)
	}
	if err == nil && !status.Healthy() {
		return &exitError{exitFailure}
	}
	return err
}

func printStatus(w io.Writer, status cluster.Status) {
	for _, server := range status.Servers {
		fmt.Fprintf(w, "%-9s %-8s", server.Name, server.State)
		if server.PID != 0 {
			fmt.Fprintf(w, " %-10s pid %-7d %4d MiB  %s", server.Version, server.PID, server.ResidentBytes>>20,
				server.Address)
		}
		fmt.Fprintln(w)
		if server.Problem != "" {
			fmt.Fprintf(w, "%-9s %s\n", "", server.Problem)
		}
		if server.Problem != "" && server.Log != "" {
			fmt.Fprintf(w, "%-9s log: %s\n", "", shown(server.Log))
		}
	}
	if !status.Healthy() && !status.Leftover.None() {
		fmt.Fprintf(w, "on the machine: %d processes, %d mounts, %d cgroups; `countersign cluster down` ends them\n",
			len(status.Leftover.Processes), len(status.Leftover.Mounts), len(status.Leftover.Cgroups))
	}
}

func clusterDown(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster down", downArgs, downSummary+"; what it keeps stays for the next up")
	o := cluster.DownOptions{Progress: s.err}
	fs.StringVar(&o.Dir, "dir", clusterDir(), dirUsage)
	fs.BoolVar(&o.Purge, "purge", false, "remove the directory too: keys, artifacts, jobs and logs")
	if err := noArguments(parse(fs, args)); err != nil {
		return err
	}
	err := cluster.Down(ctx, o)
	var absent *cluster.NoClusterError
	if o.Purge && errors.As(err, &absent) {
		fmt.Fprintf(s.err, "%s holds no cluster\n", shown(absent.Dir))
		return nil
	}
	return err
}

// clusterFault returns a command that does something to a node or to a process.
func clusterFault(name, summary string, node func(*cluster.Env, context.Context, int) error,
	process func(*cluster.Env, context.Context, cluster.Component) error,
) func(context.Context, streams, []string) error {
	return func(ctx context.Context, s streams, args []string) error {
		fs := flags(s, name, faultArgs, summary)
		dir := fs.String("dir", clusterDir(), dirUsage)
		names, err := parse(fs, args)
		if err != nil {
			return err
		}
		if len(names) != 1 {
			return &usageError{"want one node or process; `countersign cluster status` names them"}
		}
		number, notNumber := strconv.Atoi(names[0])
		component, err := cluster.ParseComponent(names[0])
		if notNumber != nil && err != nil {
			return &usageError{err.Error()}
		}
		env, err := cluster.Load(*dir)
		if err != nil {
			return err
		}
		if notNumber == nil {
			return node(env, ctx, number)
		}
		return process(env, ctx, component)
	}
}

func clusterCut(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster cut", cutArgs, cutSummary)
	dir := fs.String("dir", clusterDir(), dirUsage)
	names, err := parse(fs, args)
	if err != nil {
		return err
	}
	var nodes []int
	for _, name := range names {
		node, err := strconv.Atoi(name)
		if err != nil {
			return &usageError{fmt.Sprintf("%q is not the number of a node", name)}
		}
		nodes = append(nodes, node)
	}
	if len(nodes) != 2 {
		return &usageError{"want the numbers of two nodes; the servers are 0"}
	}
	env, err := cluster.Load(*dir)
	if err != nil {
		return err
	}
	_, err = env.Cut(ctx, nodes[0], nodes[1])
	return err
}

func clusterHeal(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "cluster heal", healArgs, healSummary)
	dir := fs.String("dir", clusterDir(), dirUsage)
	if err := noArguments(parse(fs, args)); err != nil {
		return err
	}
	env, err := cluster.Load(*dir)
	if err != nil {
		return err
	}
	return env.Heal(ctx)
}

// noArguments takes what parse returns and refuses positional arguments.
func noArguments(rest []string, err error) error {
	if err == nil && len(rest) > 0 {
		return &usageError{fmt.Sprintf("unexpected argument %q", rest[0])}
	}
	return err
}
