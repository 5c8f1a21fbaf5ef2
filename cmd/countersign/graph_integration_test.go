//go:build integration

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"

	"countersign/discovery"
)

// TestHostsFromConsul registers functions with the Consul of CONSUL_HTTP_ADDR and prints the graph of their hosts.
func TestHostsFromConsul(t *testing.T) {
	if os.Getenv("CONSUL_HTTP_ADDR") == "" {
		t.Fatal("set CONSUL_HTTP_ADDR to that of a Consul in which services may be registered")
	}
	c, err := consul.NewClient(consul.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	host, closed := metricsHost(t)
	unique := fmt.Sprint(time.Now().UnixNano())
	for name, address := range map[string]string{"quote": host, "tax": host, "gone": closed} {
		registerFunction(t, c, name+"-"+unique, address, "countersign")
	}
	other, _ := metricsHost(t)
	registerFunction(t, c, "database-"+unique, other, "primary")

	catalog, err := discovery.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := catalog.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := strings.Count(strings.Join(addresses, " "), host)
	if count != 1 || !strings.Contains(strings.Join(addresses, " "), closed) || strings.Contains(fmt.Sprint(addresses), other) {
		t.Errorf("hosts by Consul: %v; want %s and %s once, and not %s", addresses, host, closed, other)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), streams{nil, &out, &errs}, []string{"graph", "-since-start"}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	if !strings.Contains(out.String(), "quote → tax") || !strings.Contains(errs.String(), "left out: metrics of "+closed) {
		t.Errorf("graph:\n%s\n%s", &out, &errs)
	}
}

// registerFunction registers a service until the test ends.
func registerFunction(t *testing.T, c *consul.Client, name, address, tag string) {
	t.Helper()
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	service := &consul.AgentServiceRegistration{ID: name, Name: name, Tags: []string{tag}, Address: ip, Port: number}
	if err := c.Agent().ServiceRegister(service); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Agent().ServiceDeregister(name); err != nil {
			t.Errorf("deregister %s: %v", name, err)
		}
	})
}
