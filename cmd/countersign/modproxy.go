package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/net/netutil"

	"countersign/modproxy"
)

const (
	modproxyArgs    = "[-repos FILE|DIRECTORY|URL] [-listen HOST:PORT] [-cache DIRECTORY] [-- COMMAND …]"
	modproxySummary = "serve the pinned repositories and the SDK to the go command, as Go modules"
)

func init() { register(command{"modproxy", modproxyArgs, modproxySummary, modproxyVerb}) }

// maxConnections bounds how many clients a module proxy has at a time; more wait.
const maxConnections = 64

// modproxyFlags are the flags that have to do with pins.
type modproxyFlags struct{ repos, cache string }

func (f *modproxyFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.repos, "repos", os.Getenv("COUNTERSIGN_REPOS"), "`where` the pins are: repos.bzl, a directory that holds it, or the deployment's\n"+
		"repository as git fetches it (default $COUNTERSIGN_REPOS, else repos.bzl in this directory or above)")
	fs.StringVar(&f.cache, "cache", "", "`directory` for clones (default countersign/modproxy in the user's cache)")
}

func modproxyVerb(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "modproxy", modproxyArgs, modproxySummary+`

Serves until it is interrupted, and prints what the go command has to be told. With a command, runs that with it set:

  countersign modproxy -- go test ./...

Every module that is not of a pinned repository is left to the proxies that the go command has anyway.
`)
	var f modproxyFlags
	f.register(fs)
	listen := fs.String("listen", "127.0.0.1:0", "`address` to serve on; others than those of this machine let everybody who\nreaches it read what is pinned")
	args, run := cutCommand(args)
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return &usageError{fmt.Sprintf("unexpected argument %q; a command comes after --", rest[0])}
	case run != nil && len(run) == 0:
		return &usageError{"want a command after --"}
	}
	server, err := f.open(ctx, s)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("serve modules: %w", err)
	}
	defer l.Close()
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		fmt.Fprintf(s.err, "countersign modproxy: whoever reaches %s can read the source of what is pinned\n", l.Addr())
	}
	settings, err := goSettings(ctx, server.Paths(), l.Addr().String())
	if err != nil {
		return err
	}
	for _, warning := range settings.warnings {
		fmt.Fprintln(s.err, "countersign modproxy: "+warning)
	}
	h := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 15 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- h.Serve(netutil.LimitListener(l, maxConnections)) }()
	defer h.Close()
	if run != nil {
		return runWith(ctx, s, run, settings.variables)
	}
	settings.print(s.out)
	select {
	case err := <-served:
		return fmt.Errorf("serve modules: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// cutCommand splits arguments at the first --. run is nil if there is none.
func cutCommand(args []string) (flags, run []string) {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i], append([]string{}, args[i+1:]...)
	}
	return args, nil
}

// open reads the pins and fetches what is missing.
func (f *modproxyFlags) open(ctx context.Context, s streams) (*modproxy.Server, error) {
	repos, cache := f.repos, f.cache
	if repos == "" {
		var err error
		if repos, err = modproxy.FindSource("."); err != nil {
			return nil, fmt.Errorf("%w; name the deployment's repository with -repos or COUNTERSIGN_REPOS", err)
		}
	}
	cache, err := cloneCache(cache)
	if err != nil {
		return nil, err
	}
	tell := func(text string) { fmt.Fprintln(s.err, "countersign modproxy: "+text) }
	source, err := modproxy.NewSource(repos, cache, tell)
	if err != nil {
		return nil, err
	}
	return modproxy.NewServer(ctx, source, cache, tell)
}

// cloneCache makes the directory for clones of pinned repositories.
func cloneCache(named string) (string, error) {
	if named == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for clones (or name one with -cache): %w", err)
		}
		named = filepath.Join(base, "countersign", "modproxy")
	}
	named, err := filepath.Abs(named)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(named, 0o700); err != nil {
		return "", fmt.Errorf("make a place for clones: %w", err)
	}
	return named, nil
}

// settingsOfGo are the variables that the go command needs.
type settingsOfGo struct {
	variables []string // NAME=value
	warnings  []string
}

// goSettings puts a module proxy before those that the go command has. Only the paths that it serves are kept from the
// checksum database, which does not know them.
func goSettings(ctx context.Context, paths []string, address string) (settingsOfGo, error) {
	var has struct{ GOPROXY, GONOPROXY, GONOSUMDB string }
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOPROXY", "GONOPROXY", "GONOSUMDB")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &has)
	}
	if err != nil {
		return settingsOfGo{}, fmt.Errorf("ask the go command for its proxies: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var s settingsOfGo
	for _, path := range paths {
		if module.MatchPrefixPatterns(has.GONOPROXY, path) {
			s.warnings = append(s.warnings, fmt.Sprintf("GONOPROXY or GOPRIVATE of the go command covers %s, so it asks no proxy for that module, but git", path))
		}
	}
	noSum := strings.Join(paths, ",")
	if has.GONOSUMDB != "" {
		noSum = has.GONOSUMDB + "," + noSum
	}
	s.variables = []string{"GOPROXY=http://" + address + "," + cmp.Or(has.GOPROXY, "https://proxy.golang.org,direct"), "GONOSUMDB=" + noSum}
	return s, nil
}

func (s settingsOfGo) print(w io.Writer) {
	for _, variable := range s.variables {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(w, "export %s=%s\n", name, shellQuoted(value))
	}
}

// shellQuoted returns a word for a shell.
func shellQuoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":/.,-_~@%+=", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// runWith runs a command with variables set, and ends as it does.
func runWith(ctx context.Context, s streams, run, variables []string) error {
	cmd := exec.CommandContext(ctx, run[0], run[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	cmd.Env = append(os.Environ(), variables...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &exitError{max(exit.ExitCode(), exitFailure)}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", run[0], err)
	}
	return nil
}
