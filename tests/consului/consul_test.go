//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// consul is a Consul agent in development mode, with the functions of a small application in its catalog.
type consul struct {
	t   *testing.T
	url string
}

const (
	releaseA = "aaaaaaaaaaaa"
	releaseB = "bbbbbbbbbbbb"
)

func digest(release string) string { return "sha256:" + strings.Repeat(release, 6)[:64] }

func filter(release string) string { return fmt.Sprintf("Service.Meta.release == %q", release) }

func startConsul(t *testing.T) *consul {
	t.Helper()
	path := os.Getenv("COUNTERSIGN_CONSUL")
	if path == "" {
		found, err := exec.LookPath("consul")
		if err != nil {
			t.Fatalf("no Consul: COUNTERSIGN_CONSUL is not set, and there is none on PATH: %v", err)
		}
		path = found
	}
	// An address that no other process uses: nobody takes a port of it before Consul has it.
	ip := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	ports := freePorts(t, ip, 3)
	log, err := os.Create(t.TempDir() + "/consul.log")
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(path, "agent", "-dev", "-bind="+ip, "-client="+ip, "-node=n1",
		"-disable-host-node-id", "-http-port="+ports[0], "-serf-lan-port="+ports[1], "-server-port="+ports[2],
		"-serf-wan-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1",
		// Without it the UI says that everything may call everything.
		"-hcl", `acl { enabled = false default_policy = "deny" }`)
	agent.Stdout, agent.Stderr = log, log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	c := &consul{t: t, url: "http://" + ip + ":" + ports[0]}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()
	t.Cleanup(func() {
		_ = agent.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = agent.Process.Kill()
			<-ended
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("Consul's log ends with:\n%s", text[max(0, len(text)-2000):])
		}
		log.Close()
	})
	for deadline := time.Now().Add(time.Minute); !c.leads(); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Consul ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("Consul has no leader after a minute")
		}
	}
	return c
}

func freePorts(t *testing.T, ip string, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", ip+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

func (c *consul) leads() bool {
	response, err := http.Get(c.url + "/v1/status/leader")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusOK && bytes.ContainsRune(body, ':')
}

func (c *consul) put(path string, value any) {
	c.t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		c.t.Fatalf("PUT %s: %s: %s", path, response.Status, text)
	}
}

type object = map[string]any

// instance registers an allocation of a function as Nomad does.
func (c *consul) instance(function, release, node, allocation string) {
	id := "_nomad-group-" + allocation + "-" + function
	c.put("/v1/catalog/register", object{
		"Node": node, "Address": "127.0.0.1",
		"Service": object{
			"ID": id, "Service": function, "Address": "127.0.0.1", "Port": 7000, "Connect": object{"Native": true},
			"Tags": []string{"countersign", "release-" + release, "ingress", "io-storage-rules", "io-network-rates"},
			"Meta": object{"external-source": "nomad", "allocation": allocation, "release": release,
				"artifact_digest": digest(release), "io_storage": "rules", "io_network": "rates"},
		},
		"Checks": []object{{"CheckID": id, "Name": "health", "ServiceID": id, "Status": "passing"}},
	})
}

func (c *consul) entry(kind, name string, rest object) {
	rest["Kind"], rest["Name"] = kind, name
	c.put("/v1/config", rest)
}

func (c *consul) allow(source, destination string) {
	c.entry("service-intentions", destination, object{"Sources": []object{{"Name": source, "Action": "allow"}}})
}

func (c *consul) split(stable, canary float64) {
	c.entry("service-splitter", "quote", object{"Splits": []object{
		{"Weight": stable, "ServiceSubset": "stable"}, {"Weight": canary, "ServiceSubset": "canary"}}})
}

// application sets up checkout -> quote -> tax, fx, with a canary of quote.
func (c *consul) application() {
	for _, function := range []string{"quote", "tax", "fx", "checkout"} {
		c.entry("service-defaults", function, object{"Protocol": "http"})
	}
	c.instance("quote", releaseA, "node-1", "0f0f0f0f-1111-4444-8888-000000000001")
	c.instance("quote", releaseA, "node-2", "0f0f0f0f-1111-4444-8888-000000000002")
	c.instance("quote", releaseB, "node-2", "0f0f0f0f-1111-4444-8888-000000000003")
	c.instance("tax", "cccccccccccc", "node-1", "0f0f0f0f-1111-4444-8888-000000000004")
	c.instance("fx", "dddddddddddd", "node-3", "0f0f0f0f-1111-4444-8888-000000000005")
	c.instance("checkout", "eeeeeeeeeeee", "node-3", "0f0f0f0f-1111-4444-8888-000000000006")
	subset := func(release string) object { return object{"Filter": filter(release), "OnlyPassing": true} }
	c.entry("service-resolver", "quote", object{"DefaultSubset": "stable",
		"Subsets": object{"stable": subset(releaseA), "canary": subset(releaseB)}})
	c.split(90, 10)
	c.entry("service-router", "quote", object{"Routes": []object{
		{"Match": object{"HTTP": object{"PathPrefix": "/preview"}}, "Destination": object{"ServiceSubset": "canary"}},
		{"Match": object{"HTTP": object{"Header": []object{{"Name": "x-canary", "Exact": "1"}}}},
			"Destination": object{"ServiceSubset": "canary"}},
	}})
	c.entry("service-intentions", "*", object{"Sources": []object{{"Name": "*", "Action": "deny"}}})
	c.allow("checkout", "quote")
	c.allow("quote", "tax")
	c.allow("quote", "fx")
}
