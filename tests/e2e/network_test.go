//go:build integration

package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"
)

// TestNetwork binds fetcher to servers of every kind. It reaches these and nothing else, its connections outlive calls, and a
// job can't give it more than its artifact was signed with.
func TestNetwork(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s%s for %s", r.Method, r.Host, r.URL.Path, r.RemoteAddr)
	}))
	t.Cleanup(web.Close)
	secure := httptest.NewTLSServer(web.Config.Handler)
	t.Cleanup(secure.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	t.Cleanup(func() { silent.Close() })
	sockets := filepath.Join(env.Dir, "data", "storage", "sockets")
	must(os.MkdirAll(sockets, 0o755))
	t.Cleanup(func() { os.RemoveAll(sockets) })
	socket := filepath.Join(sockets, "echo")
	echoing(t, "unix", socket)
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	t.Cleanup(func() { datagrams.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := datagrams.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = datagrams.WriteTo(b[:n], from)
		}
	}()

	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	inbox := free.Addr().String()
	must(free.Close())

	environment, err := os.ReadFile(filepath.Join(env.Dir, "environment.hcl"))
	must(err)
	end := strings.LastIndex(string(environment), "}")
	bound := filepath.Join(t.TempDir(), "environment.hcl")
	must(os.WriteFile(bound, []byte(string(environment)[:end]+`
  bind "fetcher" {
    network "web" {
      addresses = ["`+web.Listener.Addr().String()+`"]
    }
    network "secure" {
      addresses       = ["`+secure.Listener.Addr().String()+`"]
      tls             = "host"
      tls_server_name = "example.com"
      tls_ca          = <<PEM
`+string(authority)+`PEM
    }
    network "silent" {
      addresses       = ["`+silent.Addr().String()+`"]
      max_connections = 1
    }
    network "service" {
      service = "e2e-echo"
    }
    network "socket" {
      unix      = "`+socket+`"
      max_bytes = "1KiB"
    }
    network "inbox" {
      addresses = ["`+inbox+`"]
    }
    network "datagrams" {
      addresses = ["`+datagrams.LocalAddr().String()+`"]
    }
  }
}
`), 0o644))
	defer func() { // not by Cleanup: the command runs in the test's context
		if out, code := command(t, "", "remove", "-jobs-dir", h.Scratch+"/jobs", "fetcher"); code != 0 {
			t.Errorf("removing fetcher: %s", out)
		}
	}()
	h.DeployEdited(t, nil, []string{"fetcher"}, "-env", bound)
	do := func(do, tag, text string) (string, int) {
		return call(t, "fetcher", fmt.Sprintf(`{"do":%q,"tag":%q,"text":%q}`, do, tag, text))
	}
	succeeds := func(what, tag, text, want string) string {
		t.Helper()
		out, code := do(what, tag, text)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s %s: exit code %d; want %q\n%s", what, tag, code, want, out)
		}
		return out
	}
	fails := func(what, tag, text, reason string) {
		t.Helper()
		if out, code := do(what, tag, text); code == 0 || !strings.Contains(out, reason) {
			t.Errorf("%s %s: exit code %d; want %q\n%s", what, tag, code, reason, out)
		}
	}

	if told := events(running(t, "fetcher")); !strings.Contains(told, `Network "web" is bound to 127.0.0.1:`) {
		t.Errorf("the task events don't tell of the network:\n%s", told)
	}
	first := succeeds("get", "web", "price", "GET server.example/price for 127.0.0.1:")
	if again := succeeds("get", "web", "price", ""); again != first {
		t.Errorf("a connection does not outlive its call: %s, %s", first, again)
	}
	// A request that can't be repeated is not sent over a connection that its other end has closed meanwhile.
	for range 3 {
		web.CloseClientConnections()
		succeeds("post", "web", "order", "POST server.example/order")
	}
	succeeds("get", "secure", "price", "GET server.example/price")
	succeeds("echo", "socket", "hello", "hello")
	fails("echo", "socket", strings.Repeat("x", 2000), "limited")
	succeeds("echo", "datagrams", "hello", "hello")
	fails("echo", "silent", "hello", "deadline")
	succeeds("get", "web", "price", "GET") // the connection ended with the call, and others go on

	heard := make(chan string, 1)
	go func() {
		out, _ := do("accept", "inbox", "")
		heard <- out
	}()
	eventually(t, "fetcher listens", func() bool {
		c, err := net.Dial("tcp", inbox)
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = io.WriteString(c, "over here")
		return err == nil
	})
	if out := <-heard; !strings.Contains(out, "over here") {
		t.Errorf("what it heard: %s", out)
	}

	for _, address := range []string{web.Listener.Addr().String(), "169.254.169.254:80", strings.TrimPrefix(env.VaultAddr, "http://"),
		strings.TrimPrefix(env.ConsulAddr, "http://"), strings.TrimPrefix(env.NomadAddr, "http://")} {
		fails("address", "", address, "")
	}
	fails("echo", "other", "hello", "undeclared")

	config := consul.DefaultConfig()
	config.Address = env.ConsulAddr
	c, err := consul.NewClient(config)
	must(err)
	register := func(id, address, status string) {
		t.Helper()
		host, port, err := net.SplitHostPort(address)
		must(err)
		number, err := net.LookupPort("tcp", port)
		must(err)
		must(c.Agent().ServiceRegister(&consul.AgentServiceRegistration{ID: id, Name: "e2e-echo", Address: host, Port: number,
			Check: &consul.AgentServiceCheck{TTL: "10m", Status: status}}))
		t.Cleanup(func() { _ = c.Agent().ServiceDeregister(id) })
	}
	fails("echo", "service", "hello", "unreachable")
	register("e2e-echo-sick", silent.Addr().String(), consul.HealthCritical)
	fails("echo", "service", "hello", "unreachable")
	register("e2e-echo-1", echoing(t, "tcp", "127.0.0.1:0"), consul.HealthPassing)
	eventually(t, "the service is found", func() bool {
		_, code := do("echo", "service", "hello")
		return code == 0
	})

	// The same artifact, by a job that gives it more, or what the node does not allow.
	n := nomadClient(t)
	for reason, change := range map[string]func(tag map[string]any){
		"differs from the attested spec": func(tag map[string]any) { tag["protocol"] = "udp" },
		"network.allow_unix": func(tag map[string]any) {
			delete(tag, "addresses")
			tag["unix"] = "/run/docker.sock"
		},
	} {
		job, _, err := n.Jobs().Info("fetcher", nil)
		must(err)
		change(job.TaskGroups[0].Tasks[0].Config["network"].([]any)[0].(map[string]any))
		_, _, err = n.Jobs().Register(job, nil)
		must(err)
		eventually(t, "refused: "+reason, func() bool {
			allocs, _, err := n.Jobs().Allocations("fetcher", true, nil)
			return err == nil && slices.ContainsFunc(allocs, func(listed *nomad.AllocationListStub) bool {
				a, _, err := n.Allocations().Info(listed.ID, nil)
				return err == nil && strings.Contains(events(a), reason)
			})
		})
		h.DeployEdited(t, nil, []string{"fetcher"}, "-env", bound)
	}
}

// echoing is a server that sends back what it gets, until the test ends, and where it is.
func echoing(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}
