//go:build integration

package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/big"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"countersign/vaultsign/identity"
)

// nodeOf returns where a function can be called, as Consul has it.
func nodeOf(t *testing.T, function string) string {
	t.Helper()
	config := consul.DefaultConfig()
	config.Address = env.ConsulAddr
	c, err := consul.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := c.Health().Service(function, "", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatalf("Consul has no healthy instance of %q", function)
	}
	return net.JoinHostPort(entries[0].Service.Address, strconv.Itoa(entries[0].Service.Port))
}

// nomadClient returns the one client of this run: each keeps connections, of which Nomad takes a hundred.
func nomadClient(t *testing.T) *nomad.Client {
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

// running returns the running allocation of a function.
func running(t *testing.T, function string) *nomad.Allocation {
	t.Helper()
	var found *nomad.Allocation
	// A client reports what its allocations do a moment later: one that answers already may still be pending here.
	eventually(t, fmt.Sprintf("function %q has a running allocation", function), func() bool {
		allocs, _, err := nomadClient(t).Jobs().Allocations(function, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range allocs {
			if a.ClientStatus != nomad.AllocClientStatusRunning {
				continue
			}
			if found, _, err = nomadClient(t).Allocations().Info(a.ID, nil); err != nil {
				t.Fatal(err)
			}
			return true
		}
		return false
	})
	return found
}

// eventually fails the test unless ok within a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

// selfMade is an identity whose certificate no authority signed.
func selfMade(t *testing.T, id identity.ID) *identity.Identity {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.CallKeyFrom(private)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(id.String())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), URIs: []*url.URL{uri}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	self, err := identity.NewIdentity(key, der)
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// thumbnailRequest asks for a thumbnail of a picture of 400 by 300 pixels.
func thumbnailRequest(t *testing.T) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 400, 300))
	for x := range 400 {
		for y := range 300 {
			m.Set(x, y, color.RGBA{uint8(x), uint8(y), 128, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(map[string]any{"image": b.Bytes(), "width": 100, "height": 100})
	if err != nil {
		t.Fatal(err)
	}
	return string(request)
}

func checkThumbnail(t *testing.T, out string) {
	t.Helper()
	var reply struct{ Image []byte }
	if err := json.Unmarshal([]byte(out), &reply); err != nil {
		t.Fatalf("the reply is no JSON: %v\n%.200s", err, out)
	}
	m, _, err := image.Decode(bytes.NewReader(reply.Image))
	if err != nil {
		t.Fatalf("the thumbnail is no picture: %v", err)
	}
	if got := m.Bounds().Size(); got != image.Pt(100, 75) {
		t.Errorf("the thumbnail measures %v; want 100 by 75", got)
	}
}
