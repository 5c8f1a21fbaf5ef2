package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"countersign/vaultsign/callsig"
)

// horizon keeps on disk until when the calls from outside were created that this data directory's hosts may have
// accepted, so that a host does not execute once more what the one before it did. It implements callsig.Horizon.
type horizon struct {
	path    string
	reached int64 // at the start
}

// openHorizon reads the horizon of a data directory. Where it can't be known what was accepted before now, all is taken
// for accepted that can have been.
func openHorizon(dir string, now time.Time) (*horizon, error) {
	h := &horizon{path: filepath.Join(dir, "accepted")}
	worst := now.Add(callsig.ClockSkew).Unix()
	src, err := os.ReadFile(h.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(filepath.Join(dir, "artifacts")); !errors.Is(err, fs.ErrNotExist) {
			h.reached = worst
		}
		return h, nil
	case err != nil:
		return nil, fmt.Errorf("reading until when calls were accepted before: %w", err)
	}
	h.reached, err = strconv.ParseInt(strings.TrimSpace(string(src)), 10, 64)
	if err != nil || h.reached < 0 || h.reached > worst {
		h.reached = worst
	}
	return h, nil
}

// Reached implements callsig.Horizon.
func (h *horizon) Reached() int64 { return h.reached }

// Raise implements callsig.Horizon.
func (h *horizon) Raise(to int64) error {
	if err := renameio.WriteFile(h.path, strconv.AppendInt(nil, to, 10), 0o600); err != nil {
		return fmt.Errorf("keeping until when calls were accepted: %w", err)
	}
	return nil
}
