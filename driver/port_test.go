package driver

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"countersign/host/control"
)

func TestNodePort(t *testing.T) {
	config := control.HostConfig{DataDir: filepath.Join(t.TempDir(), "data"), Bind: "127.0.0.1"}
	first, err := nodePort(config)
	if err != nil || first < firstPort || first > lastPort {
		t.Fatalf("nodePort = %d, %v; want one between %d and %d", first, err, firstPort, lastPort)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(config.Bind, strconv.Itoa(first)))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	defer l.Close() // as a host that runs
	if again, err := nodePort(config); err != nil || again != first {
		t.Errorf("the second time: %d, %v; want %d again", again, err, first)
	}
	config.Port = 4650
	if fixed, err := nodePort(config); err != nil || fixed != 4650 {
		t.Errorf("configured: %d, %v; want 4650", fixed, err)
	}
	config.Port = 0
	file := filepath.Join(config.DataDir, portFile)
	if err := os.WriteFile(file, []byte("many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := nodePort(config); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a damaged file: %v; want an error that names it", err)
	}
}
