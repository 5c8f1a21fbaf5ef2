package host

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestConsulIsNotFlooded has a function dial in a loop, and Consul go away.
func TestConsulIsNotFlooded(t *testing.T) {
	var s services
	asked, away := 0, error(nil)
	ask := func(context.Context, string) ([]string, error) {
		asked++
		return []string{"10.0.0.1:5432"}, away
	}
	look := func(service string) error {
		list, err := s.lookup(t.Context(), service, ask)
		if err == nil && len(list) != 1 {
			t.Errorf("%q", list)
		}
		return err
	}
	began := time.Now()
	for range 1000 {
		if err := look("db"); err != nil {
			t.Fatal(err)
		}
	}
	if most := 1 + int(time.Since(began)/lookupAge); asked > most {
		t.Errorf("Consul was asked %d times, and %d at most would do", asked, most)
	}
	before := asked
	s.known["db"] = answer{s.known["db"].addresses, time.Now().Add(-lookupAge)}
	if err := look("db"); err != nil || asked != before+1 {
		t.Errorf("an old answer serves: %v", err)
	}
	away = errors.New("no answer")
	s.known["db"] = answer{s.known["db"].addresses, time.Now().Add(-time.Hour)}
	if err := look("db"); err != nil {
		t.Errorf("the last answer does not serve while Consul is away: %v", err)
	}
	if err := look("other"); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
}
