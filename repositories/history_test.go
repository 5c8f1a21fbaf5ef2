package repositories

import (
	"strings"
	"testing"

	"countersign/git"
)

// TestBetween tells what was committed between two releases of a function, and asks no remote that is not pinned.
func TestBetween(t *testing.T) {
	tm, d := newTeam(t, "tea", build("tea")), newDeployment(t)
	d.add(t, tm)
	first := tm.git(t, "rev-parse", "HEAD")
	second := tm.commit(t, map[string]string{"a": "1"})
	c, err := d.open(t).Between(t.Context(), "tea", tm.bare, first, second)
	if err != nil || c == nil || c.Ahead != 1 || c.Commits[0].ID != second || c.Commits[0].Subject != "files" || c.Behind != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = d.open(t).Between(t.Context(), "tea", tm.bare, second, first); err != nil || c.Ahead != 0 || c.Behind != 1 {
		t.Errorf("back: %+v, %v", c, err)
	}
	for name, remote := range map[string]string{"tea": "https://attacker.example/tea", "unknown": tm.bare} {
		if c, err := d.open(t).Between(t.Context(), name, remote, first, second); c != nil || err != nil {
			t.Errorf("%s at %s: %+v, %v", name, remote, c, err)
		}
	}
	if c, err := d.open(t).Between(t.Context(), "tea", tm.bare, first, strings.Repeat("1", 40)); !git.IsRefusal(err) {
		t.Errorf("a commit that is not there: %+v, %v", c, err)
	}
}
