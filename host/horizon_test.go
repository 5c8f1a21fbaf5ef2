package host

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"countersign/vaultsign/callsig"
)

func TestHorizon(t *testing.T) {
	now := time.Now()
	worst := now.Add(callsig.ClockSkew).Unix()
	open := func(dir string) int64 {
		t.Helper()
		h, err := openHorizon(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		return h.Reached()
	}
	dir := t.TempDir()
	if got := open(dir); got != 0 {
		t.Errorf("a new directory has the horizon %d", got)
	}
	h, err := openHorizon(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []int64{now.Unix() - 100, now.Unix() + 9} {
		if err := h.Raise(to); err != nil {
			t.Fatal(err)
		}
		if got := open(dir); got != to {
			t.Errorf("%d was kept as %d", to, got)
		}
	}
	file := filepath.Join(dir, "accepted")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, text := range []string{"", "x", "-1", "1e9", "0x10", "99999999999999999999", strconv.FormatInt(worst+3600, 10)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := open(dir); got != worst {
			t.Errorf("%q stands for the horizon %d; want the worst", text, got)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "artifacts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := open(dir); got != worst {
		t.Errorf("a directory of a host that left no horizon has the horizon %d", got)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := openHorizon(dir, now); err == nil {
		t.Error("a directory is read as a horizon")
	}
	if h.Raise(worst) == nil {
		t.Error("a directory is replaced")
	}
}
