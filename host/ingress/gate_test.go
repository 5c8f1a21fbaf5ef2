package ingress

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/link"
	"countersign/vaultsign/identity"
)

func TestProtocols(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	for name, test := range map[string]struct {
		base  string
		major int
	}{
		"1": {"http://", 1}, "h2c": {"http://", 2}, "1 TLS": {"https://", 1}, "h2": {"https://", 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := n.speaking(t, name, "", nil)
			for range 2 { // the second over the same connection
				r, sent := n.signed(t, test.base+n.address, "quote", `{"a":1}`)
				got := do(t, c, r)
				n.mustVerify(t, got, r, sent, `{"a":1}`)
				if got.ProtoMajor != test.major {
					t.Errorf("spoke %s", got.Proto)
				}
			}
		})
	}
}

func TestServerNames(t *testing.T) {
	f := newFixtureWith(t, newAuthority(t), control.Ingress{Names: []string{"node.example"}})
	n := serving(t, f, nil)
	dial := func(name string) (*identity.Certificate, error) {
		config := identity.TLSConfig(f.trust, nil)
		config.ServerName = name
		c, err := tls.Dial("tcp", n.address, config)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return identity.PeerOf(c.ConnectionState())
	}
	if _, err := dial(""); err == nil {
		t.Error("a host without functions does a handshake")
	}
	f.run("quote", hclspec.Function{}, running(echo))
	f.run("tax", hclspec.Function{}, running(echo))
	for name, want := range map[string]string{
		"quote-alloc.quote": "quote", "tax-alloc.tax": "tax", "tax": "tax", "quote": "quote", "": "any", "nobody": "any",
		"node.example": "any", "quote-alloc.tax": "", "gone-alloc.quote": "", "other.example": "",
	} {
		got, err := dial(name)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: %s answers", name, got.ID)
		case want != "" && err != nil:
			t.Errorf("%q: %v", name, err)
		case want != "" && want != "any" && got.ID.Name() != want:
			t.Errorf("%q: %s answers", name, got.ID)
		}
	}
}

// TestLinksAreHandedOn has a connection with the ALPN name of links, and one where no links are taken.
func TestLinksAreHandedOn(t *testing.T) {
	f := newFixture(t)
	quote := f.run("quote", hclspec.Function{}, running(echo))
	n := serving(t, f, func(in *Server) {
		in.links = func(_ context.Context, c *tls.Conn) {
			defer c.Close()
			peer, err := identity.PeerOf(c.ConnectionState())
			if err != nil || peer == nil {
				t.Errorf("peer %v, error %v", peer, err)
				return
			}
			io.WriteString(c, "to "+c.ConnectionState().ServerName+" from "+peer.ID.Name())
		}
	})
	without := serving(t, newFixtureWith(t, f.ca, control.Ingress{}), func(in *Server) { in.links = nil })
	without.run("quote", hclspec.Function{}, running(echo))
	config := identity.TLSConfig(f.trust, nil)
	config.ServerName, config.NextProtos = "quote-alloc.quote", []string{link.ALPN}
	config.Certificates = []tls.Certificate{*quote.Identity().TLSCertificate()}
	c, err := tls.Dial("tcp", n.address, config)
	must(t, err)
	defer c.Close()
	got, err := io.ReadAll(c)
	must(t, err)
	if string(got) != "to quote-alloc.quote from quote" {
		t.Errorf("the link says %q", got)
	}
	if _, err := tls.Dial("tcp", without.address, config); err == nil {
		t.Error("a host that takes no links accepts one")
	}
}

// silent tells how long a connection stays open to which only text is written.
func silent(t *testing.T, address, text string) time.Duration {
	t.Helper()
	began := time.Now()
	c, err := net.Dial("tcp", address)
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, text)
	must(t, err)
	must(t, c.SetReadDeadline(began.Add(20*time.Second)))
	io.Copy(io.Discard, c)
	return time.Since(began)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	const short = 200 * time.Millisecond
	n := serving(t, f, func(in *Server) {
		in.openTimeout, in.http.ReadHeaderTimeout, in.http.ReadTimeout, in.http.IdleTimeout = short, short, 2*short, short
	})
	for name, text := range map[string]string{
		"no byte":           "",
		"a TLS record":      "\x16\x03\x01\x02\x00",
		"half a header":     "POST /call/quote HTTP/1.1\r\nHost: x\r\n",
		"half a body":       "POST /call/quote HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
		"idle after a call": "GET /v1/health/x HTTP/1.1\r\nHost: x\r\n\r\n",
		"a preface":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if took := silent(t, n.address, text); took > 10*time.Second {
				t.Errorf("the connection stayed open for %s", took)
			}
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	f := newFixture(t)
	n := serving(t, f, func(in *Server) { in.maxConnections = 2 })
	health := func(c net.Conn) error {
		if _, err := io.WriteString(c, "GET /v1/health/x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
		}
		return err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", n.address)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second := dial(), dial()
	must(t, health(first))
	must(t, health(second))
	if err := health(dial()); err == nil {
		t.Error("a third connection is served")
	}
	must(t, health(first))
	first.Close()
	for end := time.Now().Add(5 * time.Second); health(dial()) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the place of a closed connection is not given back")
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	for _, protocol := range []string{"1", "h2c"} {
		c := n.speaking(t, protocol, "", nil)
		r, _ := n.signed(t, "http://"+n.address, "quote", "{}")
		for range maxHeaderFields {
			r.Header.Add("X-Many", "x")
		}
		got := do(t, c, r)
		if p := got.problem(t); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge || p.Code != "too_large" {
			t.Errorf("%s: many fields are answered with %d %s", protocol, got.StatusCode, got.body)
		}
		r, _ = n.signed(t, "http://"+n.address, "quote", "{}")
		r.Header.Set("X-Large", strings.Repeat("x", 2*maxHeaderBytes))
		response, err := c.Do(r)
		if err != nil && protocol == "h2c" && strings.Contains(err.Error(), "limit") {
			continue // the client knows the server's limit and does not even send it
		}
		must(t, err)
		response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: a large header is answered with %d", protocol, response.StatusCode)
		}
	}
}

// dialFrom opens a connection from an address of this machine and writes a text.
func dialFrom(t *testing.T, from, address, text string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, text)
	must(t, err)
	return c
}

// TestSilentConnectionsKeepNobodyOut has more connections than there are places of which nothing is known yet, in each
// state that costs nothing to get into.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	for name, text := range map[string]string{
		"no byte": "", "a record's first byte": "\x16", "half a TLS record": "\x16\x03\x01\x02\x00\x01\x00",
	} {
		for _, addresses := range []int{1, 16} {
			t.Run(fmt.Sprint(name, " from ", addresses), func(t *testing.T) {
				f := newFixture(t)
				f.run("quote", open, running(echo))
				// They are not cut off for want of time during the test.
				n := serving(t, f, func(in *Server) { in.openTimeout, in.maxOpening, in.openingShare = time.Hour, 64, 16 })
				for i := range 200 {
					dialFrom(t, fmt.Sprint("127.0.1.", 1+i%addresses), n.address, text)
				}
				c := n.speaking(t, "h2", "quote-alloc.quote", n.ca.Identity(t, functionID(t, "other")))
				r, sent := n.signed(t, "https://"+n.address, "quote", "{}")
				n.mustVerify(t, do(t, c, r), r, sent, "{}") // another host
				r, sent = n.signed(t, "http://"+n.address, "quote", "{}")
				n.mustVerify(t, do(t, n.speaking(t, "1", "", nil), r), r, sent, "{}") // a client
			})
		}
	}
}

// TestConnectionsAreKeptForHosts has anonymous connections take all places that they may have.
func TestConnectionsAreKeptForHosts(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, func(in *Server) { in.maxConnections, in.connectionsShare = 8, 4 })
	const request = "GET /v1/health/x HTTP/1.1\r\nHost: x\r\n\r\n"
	served := func(from string) bool {
		c := dialFrom(t, from, n.address, request)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
		}
		return err == nil
	}
	count := func(from string) (n int) {
		for n < 9 && served(from) {
			n++
		}
		return n
	}
	if one, two, three := count("127.0.1.1"), count("127.0.1.2"), count("127.0.1.3"); one != 4 || two != 2 || three != 0 {
		t.Errorf("%d, %d and %d connections from one, another and a third address; want 4, 2 and none", one, two, three)
	}
	host := n.speaking(t, "h2", "quote-alloc.quote", n.ca.Identity(t, functionID(t, "other")))
	r, sent := n.signed(t, "https://"+n.address, "quote", "{}")
	n.mustVerify(t, do(t, host, r), r, sent, "{}")
	client := n.speaking(t, "h2", "quote-alloc.quote", n.ca.Identity(t, clientID(t)))
	r, _ = n.signed(t, "https://"+n.address, "quote", "{}")
	if _, err := client.Do(r); err == nil {
		t.Error("a client's certificate counts as a host's")
	}
}

// TestCallsAreKeptForHosts has clients that never send their bodies take all places that they may have.
func TestCallsAreKeptForHosts(t *testing.T) {
	near, _ := twoNodes(t, control.Ingress{})
	full := serving(t, newFixtureWith(t, near.ca, control.Ingress{MaxCalls: 4}), func(in *Server) { in.bodies = newRoom(400) })
	full.run("quote", open, running(echo))
	near.in.route = to(targetOf(full, "quote"))
	slow := func(from string, size int) string {
		r, _ := full.signed(t, "http://"+full.address, "quote", strings.Repeat("x", 1000))
		var text strings.Builder
		fmt.Fprintf(&text, "POST /call/quote HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\nConnection: close\r\n", full.address)
		must(t, r.Header.Write(&text))
		c := dialFrom(t, from, full.address, text.String()+"\r\n"+strings.Repeat("x", size))
		must(t, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return "" // it waits for the rest
		}
		body, _ := io.ReadAll(response.Body)
		return string(body)
	}
	for i, c := range []struct {
		from string
		size int
		want string
	}{
		{"127.0.1.1", 100, ""}, {"127.0.1.1", 100, ""}, {"127.0.1.1", 1, "from the same address"}, {"127.0.1.2", 100, ""},
		{"127.0.1.3", 1, "as many calls"},
	} {
		if got := slow(c.from, c.size); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("call %d is answered with %q; want %q", i, got, c.want)
		}
	}
	// 300 bytes of bodies are held, which is all that may come from outside.
	body := `"` + strings.Repeat("y", 80) + `"`
	r, sent := near.signed(t, "http://"+near.address, "quote", body)
	near.mustVerify(t, do(t, near.speaking(t, "1", "", nil), r), r, sent, body)
}
