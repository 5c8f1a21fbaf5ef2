package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"countersign/terminal"
)

// driverName is the driver's file. Nomad matches it with the label of the plugin block.
const driverName = "nomad-driver-countersign"

// hasDriver tells whether the cluster runs functions.
func (d dir) hasDriver() bool {
	_, err := os.Stat(d.path("plugins", driverName))
	return err == nil
}

// installDriver puts the driver's binary into the plugin directory and returns its SHA-256 digest in hexadecimal, or
// "" for a cluster without it.
func installDriver(ctx context.Context, d dir, o Options, log *terminal.Log) (digest string, err error) {
	target := d.path("plugins", driverName)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("plugin directory: %w", err)
	}
	if o.NoDriver {
		if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the driver: %w", err)
		}
		return "", nil
	}
	source := o.DriverBinary
	if source == "" {
		step := log.Start("driver", "building")
		source = d.path("tmp", driverName)
		if err := buildDriver(ctx, source); err != nil {
			step.Fail(err)
			return "", err
		}
		defer os.Remove(source)
		step.Done("built from the checkout")
	}
	if digest, err = fileDigest(source); err != nil {
		return "", fmt.Errorf("driver: %w", err)
	}
	if now, err := fileDigest(target); err == nil && now == digest {
		return digest, nil
	}
	data, err := os.ReadFile(source)
	if err == nil {
		// By renaming: the old one may be running.
		err = writeFile(target, data, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("install the driver: %w", err)
	}
	return digest, nil
}

// buildDriver builds the driver from the checkout that the working directory is in.
func buildDriver(ctx context.Context, output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	module, checkout, _ := strings.Cut(strings.TrimSpace(string(root)), " ")
	if err != nil || module != "countersign" {
		return errors.New("the driver has to be built, and this is not a checkout of Countersign: " +
			"run the command in one, or name a built " + driverName + " with -driver")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", output, "./cmd/"+driverName)
	cmd.Dir = checkout
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the driver in %s: %w\n%s", checkout, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
