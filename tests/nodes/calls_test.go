//go:build integration

package nodes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"

	"countersign"
	"countersign/client"
	"countersign/tests/harness"
)

// TestAnyNodeAnswers calls, at each node, functions that run there and one that does not.
func TestAnyNodeAnswers(t *testing.T) {
	deployed(t)
	place(t, "thumbnail", 2)
	for node := range env.Nodes {
		address := hostOf(t, node+1)
		c := newClient(t, "tester", address)
		if _, err := c.Call(t.Context(), "quote", []byte(basket)); err != nil {
			t.Errorf("quote at node %d: %v", node+1, err)
		}
		// The function's own refusal of an empty picture, signed, is an answer of the function.
		_, err := c.Call(t.Context(), "thumbnail", []byte(`{}`))
		var failed *countersign.CallError
		if !errors.As(err, &failed) {
			t.Errorf("thumbnail at node %d: %v; want the function's own answer", node+1, err)
		}
		_, err = c.Call(t.Context(), "nobody", []byte(`{}`))
		var refused *client.RefusedError
		if !errors.As(err, &refused) || refused.Code != countersign.CodeUnknownFunction {
			t.Errorf("an unknown function at node %d: %v", node+1, err)
		}
	}
}

// TestLocalFirstThenRemote looks at what is verified on the way of a call: the instance of the same node is called while
// there is one, under a session; another node's, under the call keys, when there is none.
func TestLocalFirstThenRemote(t *testing.T) {
	deployed(t)
	c := newClient(t, "tester", hostOf(t, 1))
	algorithms := func() string {
		answer, err := c.Call(t.Context(), "quote", []byte(basket))
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, hop := range answer.Hops {
			_, callee, _ := strings.Cut(hop.Callee, "/function/")
			list = append(list, fmt.Sprintf("%s %s %s", callee, hop.Algorithm, hop.Verified))
		}
		return strings.Join(list, ", ")
	}
	if got := algorithms(); !strings.Contains(got, "tax hmac-sha256 call and return") || !strings.Contains(got, "fx hmac-sha256 call and return") {
		t.Errorf("with all on one node: %s", got)
	}
	place(t, "tax", 2, 3)
	defer h.DeployEdited(t, everywhere, []string{"tax"})
	// The instance here takes calls until it has ended, which is after Consul stops listing it.
	harness.Eventually(t, "tax is called on another node, and fx still on this one", 10*time.Second, func() bool {
		got := algorithms()
		return strings.Contains(got, "tax ed25519 call and return") && strings.Contains(got, "fx hmac-sha256 call and return")
	})
}

// TestIntentionsAreObeyed takes the intention of quote to call tax away in Consul, and gives it back.
func TestIntentionsAreObeyed(t *testing.T) {
	deployed(t)
	c := newClient(t, "tester", hostOf(t, 1))
	answers := func() error {
		_, err := c.Call(t.Context(), "quote", []byte(basket))
		return err
	}
	if err := answers(); err != nil {
		t.Fatal(err)
	}
	entries := consulClient(t).ConfigEntries()
	entry, _, err := entries.Get(consul.ServiceIntentions, "tax", nil)
	if err != nil {
		t.Fatal(err)
	}
	intentions := entry.(*consul.ServiceIntentionsConfigEntry)
	set := func(action consul.IntentionAction) {
		t.Helper()
		for _, s := range intentions.Sources {
			s.Action = action
		}
		if _, _, err := entries.Set(intentions, nil); err != nil {
			t.Fatal(err)
		}
	}
	set(consul.IntentionActionDeny)
	defer set(consul.IntentionActionAllow)
	harness.Eventually(t, "the call is not permitted", 5*time.Second, func() bool {
		err := answers()
		return err != nil && strings.Contains(err.Error(), string(countersign.CodeNotPermitted))
	})
	set(consul.IntentionActionAllow)
	harness.Eventually(t, "the call is permitted again", 5*time.Second, func() bool { return answers() == nil })
}

// TestGraphShowsWhatWasCalled asks the hosts' metrics after calls: the graph of the specs, with local shares.
func TestGraphShowsWhatWasCalled(t *testing.T) {
	deployed(t)
	c := newClient(t, "tester", hostOf(t, 1))
	for range 5 {
		if _, err := c.Call(t.Context(), "quote", []byte(basket)); err != nil {
			t.Fatal(err)
		}
	}
	out, code := h.Command(t, "", "graph", "-since-start", "-format", "mermaid")
	for _, want := range []string{"quote", "tax", "fx"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("graph: exit code %d, without %q:\n%s", code, want, out)
		}
	}
	if out, code := h.Command(t, "", "top"); code != 0 || !strings.Contains(out, "quote") {
		t.Errorf("top in a pipe: exit code %d\n%s", code, out)
	}
}
