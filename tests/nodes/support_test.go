//go:build integration

package nodes

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"
	vault "github.com/hashicorp/vault/api"

	"countersign/client"
	"countersign/cluster"
	"countersign/tests/harness"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

// deployed brings the application up once: quote, tax and fx on every node, thumbnail on one.
func deployed(t *testing.T) {
	t.Helper()
	deployOnce.Do(func() {
		early, _ = clientIdentity(t, "early")
		h.DeployEdited(t, everywhere, harness.Examples())
		harness.Eventually(t, "quote, tax and fx run on every node", time.Minute, func() bool {
			for _, function := range []string{"quote", "tax", "fx"} {
				if len(instances(t, function)) != len(env.Nodes) {
					return false
				}
			}
			return true
		})
	})
	if len(instances(t, "thumbnail")) == 0 {
		t.Fatal("the application was not deployed")
	}
}

var deployOnce sync.Once

// early is a client whose certificate is older than the deploy: it can sign calls of some time ago.
var early *identity.Identity

// everywhere asks for an instance of quote, tax and fx on each node.
func everywhere(function, spec string) string {
	if function == "thumbnail" {
		return spec
	}
	return strings.Replace(spec, "min                = 1", "min                = 3", 1)
}

// instance is a healthy instance of a function, as Consul lists it.
type instance struct {
	allocation, release string
	node                int
	address             string // host:port
}

// instances returns the healthy instances of a function, as far as Consul can be asked.
func instances(t testing.TB, function string) []instance {
	t.Helper()
	entries, _, err := consulClient(t).Health().Service(function, "", true, nil)
	if err != nil {
		return nil // Consul is away; whoever waits asks again
	}
	var list []instance
	for _, e := range entries {
		list = append(list, instance{allocation: e.Service.Meta["allocation"], release: e.Service.Meta["release"],
			node: nodeAt(e.Service.Address), address: net.JoinHostPort(e.Service.Address, strconv.Itoa(e.Service.Port))})
	}
	return list
}

// nodeAt returns the number of the node with an IP address.
func nodeAt(address string) int {
	for i, n := range env.Nodes {
		if n.Address == address {
			return i + 1
		}
	}
	return 0
}

// hostOf returns host:port of a node's host.
func hostOf(t testing.TB, node int) string {
	t.Helper()
	for _, i := range instances(t, "quote") {
		if i.node == node {
			return i.address
		}
	}
	t.Fatalf("node %d runs no host", node)
	return ""
}

// consulClient returns the one client of this run: each keeps connections, of which Consul takes two hundred.
func consulClient(t testing.TB) *consul.Client {
	t.Helper()
	c, err := consulOnce()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var consulOnce = sync.OnceValues(func() (*consul.Client, error) {
	config := consul.DefaultConfig()
	config.Address = env.ConsulAddr
	return consul.NewClient(config)
})

// nomadClient returns the one client of this run: each keeps connections, of which Nomad takes a hundred.
func nomadClient(t testing.TB) *nomad.Client {
	t.Helper()
	c, err := nomadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var nomadOnce = sync.OnceValues(func() (*nomad.Client, error) {
	return nomad.NewClient(&nomad.Config{Address: env.NomadAddr})
})

// place registers the job of a function again so that it runs on the given nodes only, one instance on each.
func place(t testing.TB, function string, nodes ...int) {
	t.Helper()
	source, err := os.ReadFile(h.JobFile(function))
	if err != nil {
		t.Fatal(err)
	}
	job, err := nomadClient(t).Jobs().ParseHCL(string(source), true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes {
		names = append(names, env.Nodes[n-1].Name)
	}
	count := len(nodes)
	job.TaskGroups[0].Count, job.TaskGroups[0].Scaling = &count, nil // also fewer than the spec permits
	job.Constraints = append(job.Constraints, nomad.NewConstraint("${node.unique.name}", "set_contains_any", strings.Join(names, ",")),
		nomad.NewConstraint("", "distinct_hosts", "true"))
	if _, _, err := nomadClient(t).Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, function+" runs on the chosen nodes", time.Minute, func() bool {
		list := instances(t, function)
		want := map[int]bool{}
		for _, n := range nodes {
			want[n] = true
		}
		for _, i := range list {
			if !want[i.node] {
				return false
			}
		}
		return len(list) == len(nodes)
	})
}

// clientIdentity gets a client certificate from Vault.
func clientIdentity(t testing.TB, name string) (*identity.Identity, *identity.Bundle) {
	t.Helper()
	v, err := vault.NewClient(&vault.Config{Address: env.VaultAddr})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cluster.PersonToken(t.Context(), env.Dir, name)
	if err != nil {
		t.Fatal(err)
	}
	v.SetToken(token)
	id, err := identity.ClientID(env.TrustDomain, name)
	if err != nil {
		t.Fatal(err)
	}
	self, err := issue.Client(t.Context(), v, "pki", id, 0)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := issue.FetchBundle(t.Context(), issue.Config{Address: env.VaultAddr, PKIMount: "pki"}, env.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	return self, trust
}

// newClient returns a client that asks the given nodes' hosts, in turn if one can't be reached.
func newClient(t testing.TB, name string, addresses ...string) *client.Client {
	t.Helper()
	self, trust := clientIdentity(t, name)
	return &client.Client{Identity: self, Trust: trust, Explain: true, AnyNode: true,
		Nodes: func(context.Context, string) ([]string, error) { return addresses, nil }}
}

// basket is a request of quote.
const basket = `{"sku":"tea","quantity":2,"region":"EU","currency":"USD"}`
