package host

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"countersign/router"
	"countersign/router/catalog"
)

// wantTime is how long a start waits for Consul's first answers about the functions that it calls. Without them it
// starts all the same: Consul may be away for a while, and calls between functions fail with a reason until it is back.
const wantTime = 3 * time.Second

// watch begins to follow Consul, if there is one. Without, functions call only those of their own host.
func (h *Host) watch() error {
	c := h.config.Consul
	if c.Address == "" {
		h.calls.Router.Standalone = true
		return nil
	}
	token, err := consulToken(c.TokenFile)
	if err != nil {
		return err
	}
	h.catalog, err = catalog.New(catalog.Config{Address: c.Address, Token: token, CACert: c.CACert, Datacenter: c.Datacenter,
		Log: h.log, Changed: func(s router.Snapshot) {
			h.functions.Store(int64(len(s.Functions)))
			h.calls.Router.Update(s)
		}})
	if err != nil {
		return fmt.Errorf("preparing to follow Consul at %s: %w", c.Address, err)
	}
	go h.catalog.Run(h.ctx)
	return nil
}

func consulToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the Consul token (consul.token_file of the plugin block): %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// want has the routes to the functions that the task calls ready before it can be called.
func (s *start) want(ctx context.Context) error {
	h := s.host
	if h.catalog == nil {
		return nil
	}
	h.catalog.Want(s.spec.Calls...)
	s.wants = true
	ctx, cancel := context.WithTimeout(ctx, wantTime)
	defer cancel()
	if err := h.catalog.Wait(ctx, s.spec.Calls...); err != nil {
		s.event("Consul has not answered yet: until it does, this function can't call others, nor be called by them")
		h.log.Warn("a function starts without routes", "function", s.spec.Name, "error", err)
	}
	return nil
}

// unwant gives back what want took.
func (h *Host) unwant(callees []string) {
	if h.catalog != nil {
		h.catalog.Drop(callees...)
	}
}
