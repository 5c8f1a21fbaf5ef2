package cluster

import (
	"context"
	"errors"
	"os"
	"time"
)

// Status is what a cluster does now.
type Status struct {
	Env      *Env           `json:"env"` // nil if it was never completely up
	Servers  []ServerStatus `json:"servers"`
	Leftover Leftover       `json:"leftover"` // everything of it that is on the machine, servers included
}

// Healthy tells whether every server serves.
func (s Status) Healthy() bool {
	for _, server := range s.Servers {
		if server.State != Serving {
			return false
		}
	}
	return true
}

// ServerState says what a server does.
type ServerState string

// The states of a server.
const (
	Serving ServerState = "serving"
	Failing ServerState = "failing" // it runs and is not ready
	Paused  ServerState = "paused"  // by SIGSTOP: see Env.PauseNode
	Stopped ServerState = "stopped"
)

// ServerStatus is the status of one server.
type ServerStatus struct {
	Name          string      `json:"name"`
	State         ServerState `json:"state"`
	Problem       string      `json:"problem,omitempty"`
	Version       string      `json:"version,omitempty"`
	Address       string      `json:"address,omitempty"`
	UI            string      `json:"ui,omitempty"` // URL of its web interface, if this build has one
	PID           int         `json:"pid,omitempty"`
	Started       time.Time   `json:"started,omitzero"`
	ResidentBytes int64       `json:"resident_bytes,omitempty"`
	Log           string      `json:"log,omitempty"`
}

// StatusOf looks at the cluster in a directory ("" is DefaultDir). It changes nothing.
func StatusOf(ctx context.Context, path string) (Status, error) {
	d, err := open(path)
	if err != nil {
		return Status{}, err
	}
	s, err := d.load()
	if err != nil {
		return Status{}, err
	}
	var status Status
	status.Env, _ = Load(path) // an env that is not there yet is part of the status
	for _, server := range s.servers() {
		status.Servers = append(status.Servers, statusOf(ctx, d, s, server))
	}
	status.Leftover, err = findLeftover(d, s)
	return status, err
}

func statusOf(ctx context.Context, d dir, s *state, server server) ServerStatus {
	status := ServerStatus{Name: server.name, State: Stopped}
	rec, err := d.record(server.name)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			status.Problem = err.Error()
		}
		return status
	}
	status.Version, status.Log = rec.Version, d.logFile(server.name)
	if !rec.alive() {
		status.Problem = "its process is gone"
		return status
	}
	status.PID, status.Started, status.Address = rec.PID, rec.Started, s.address(server.name)
	status.ResidentBytes, _ = residentBytes(rec.PID)
	if p, err := readProc(rec.PID); err == nil && p.stopped() {
		status.State, status.Problem = Paused, "its process is stopped (SIGSTOP)"
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := server.serves(ctx, d, s); err != nil {
		status.State, status.Problem = Failing, err.Error()
		return status
	}
	status.State = Serving
	if server.ui != nil && server.ui(ctx, s) {
		status.UI = status.Address + "/ui/"
	}
	return status
}
