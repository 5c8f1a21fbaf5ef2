package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestSilentHostHoldsUpNothing watches a host that answers and one that takes the request and says nothing, as one does
// whose process is stopped.
func TestSilentHostHoldsUpNothing(t *testing.T) {
	answering := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "process_start_time_seconds 1\n"); err != nil {
			t.Error(err)
		}
	}))
	defer answering.Close()
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer silent.Close()
	defer close(over)
	address := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := observer{interval: 100 * time.Millisecond, nodes: []string{address(answering), address(silent)}}
	updates := make(chan update)
	go o.observe(ctx, updates)
	for range 2 {
		select {
		case u := <-updates:
			hosts := map[string]bool{}
			for _, h := range u.overview.Hosts {
				hosts[h.Address] = h.Silent
			}
			if len(hosts) != 2 || hosts[address(answering)] || !hosts[address(silent)] || len(u.notes) != 1 {
				t.Errorf("which hosts are silent: %v, notes %q", hosts, u.notes)
			}
		case <-time.After(4 * time.Second): // the limit is a second, and of a request without one five
			t.Fatal("the silent host holds up the others")
		}
	}
	if _, _, err := (&observer{nodes: []string{address(silent)}}).scrapeWithin(ctx, time.Millisecond); err == nil ||
		errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no host that answers: %v", err)
	}
}
