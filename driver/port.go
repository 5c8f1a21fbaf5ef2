package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"countersign/host/control"
)

// Ports that are chosen: outside of what Linux gives to outgoing connections and of what Nomad gives to tasks.
const (
	firstPort  = 10000
	lastPort   = 19999
	portsTried = 100
	portFile   = "port" // in the data directory
)

// nodePort returns the call port of a configuration. Where that says 0, it is one that was free when the data directory
// was used first, and it is kept there: services are registered with it before a host runs, and a host that takes
// another's place has to be found where that was.
func nodePort(config control.HostConfig) (int, error) {
	if config.Port != 0 {
		return config.Port, nil
	}
	file := filepath.Join(config.DataDir, portFile)
	kept, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return choosePort(config, file)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the call port of this node: %w", err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(kept)))
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%s holds no TCP port; remove it while no function runs", file)
	}
	return port, nil
}

// choosePort finds a free port and keeps it in file.
func choosePort(config control.HostConfig, file string) (int, error) {
	if err := control.MakeDataDir(config.DataDir); err != nil {
		return 0, err
	}
	var taken error
	for range portsTried {
		port := firstPort + rand.N(lastPort-firstPort+1)
		l, err := net.Listen("tcp", net.JoinHostPort(config.Bind, strconv.Itoa(port)))
		if err != nil {
			taken = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("choosing a call port: %w", err)
		}
		if err := keepPort(file, port); err != nil {
			return 0, fmt.Errorf("keeping the call port of this node: %w", err)
		}
		return nodePort(config) // which another process may have kept first
	}
	return 0, fmt.Errorf("no port between %d and %d is free on %s; set `port` in the plugin block: %w",
		firstPort, lastPort, config.Bind, taken)
}

// keepPort writes a whole file, unless there is one: a link, where a rename would replace another process's choice.
func keepPort(file string, port int) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), portFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(strconv.Itoa(port) + "\n")
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Link(tmp.Name(), file)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
