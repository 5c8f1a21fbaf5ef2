package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"countersign/host/control"
	"countersign/strictjson"
)

// maxConfig bounds a host's configuration, in bytes.
const maxConfig = 1 << 20

// Main runs a host until ctx ends or the host has been idle for a while. It reads its control.HostConfig as JSON from
// stdin, logs to standard error, and returns the process's exit code.
func Main(ctx context.Context, stdin io.Reader) int {
	var config control.HostConfig
	text, err := io.ReadAll(io.LimitReader(stdin, maxConfig))
	if err == nil {
		err = strictjson.Decode(text, &config)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "countersign host: reading the configuration from standard input: %v\n", err)
		return 2
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: logLevel(config.LogLevel)}))
	if err := serve(ctx, config, log); err != nil {
		log.Error("the host stopped", "error", err)
		return 1
	}
	return 0
}

// serve runs the call listener and the control socket until ctx or the host ends.
func serve(ctx context.Context, config control.HostConfig, log *slog.Logger) error {
	h, err := New(ctx, config, log)
	if err != nil {
		return err
	}
	defer h.stopAll()
	listener, err := h.listen()
	if err != nil {
		return err
	}
	in, err := h.newIngress()
	if err != nil {
		return err
	}
	defer in.Close()
	go h.keepTrust()
	go h.keepKeys()
	failed := make(chan error, 2)
	go func() { failed <- in.Serve(h.ctx, listener) }()
	go func() { failed <- control.Serve(h.ctx, config.DataDir, h) }()
	log.Info("the host is ready", "address", h.info.Address, "port", h.info.Port)
	select {
	case err = <-failed:
	case <-h.ctx.Done():
	}
	h.cancel()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func logLevel(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo
	}
	return l
}
