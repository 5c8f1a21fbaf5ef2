package network

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestForbiddenAddresses(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "169.254.170.2:80", "[::ffff:169.254.169.254]:80", "[fe80::a9fe:a9fe%lo]:80",
		"0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "[::ffff:169.254.169.254%lo]:80", "224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80",
		"[fd00:ec2::254]:80", "[fd00:ec2::23]:80", "[fd20:ce::254]:80", "[fd00:42::42]:80", "[fd00:c1::a9fe:a9fe]:80",
		"100.100.100.200:80", "168.63.129.16:80", "192.0.0.192:80", "[::ffff:100.100.100.200]:80",
		"[64:ff9b::a9fe:a9fe]:80", "[64:ff9b:1::169.254.169.254]:80", "[2002:a9fe:a9fe::1]:80", "[::169.254.169.254]:80",
		"[64:ff9b::100.100.100.200]:80", "localhost:80", ""} {
		if refuseForbidden("tcp4", address, nil) == nil {
			t.Errorf("%q may be connected to", address)
		}
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "10.0.0.1:80", "100.100.100.201:80", "[2001:db8::a9fe:a9fe]:80",
		"[64:ff9b::10.0.0.1]:80", "[2002:a00:1::a9fe:a9fe]:80", "[fd00::1]:80"} {
		if err := refuseForbidden("udp6", address, nil); err != nil {
			t.Error(err)
		}
	}
	if err := refuseForbidden("unix", "/proc/self/fd/5", nil); err != nil {
		t.Error(err)
	}
}

// TestEmptyDatagrams sends datagrams without bytes, which are packets nevertheless.
func TestEmptyDatagrams(t *testing.T) {
	server := []string{echoDatagrams(t)}
	tags := open(t, nil,
		Binding{Tag: "slow", Protocol: UDP, Addresses: server, Limits: Limits{Rate: 1}},
		Binding{Tag: "short", Protocol: UDP, Addresses: server, Limits: Limits{Bytes: 3 * datagramHeaders}})
	slow, sent := dial(t, tags, "slow"), 0
	for sent <= minBurst {
		if _, err := slow.Write(nil); errors.Is(err, unix.EAGAIN) && slow.Wait() > 0 {
			break
		}
		sent++
	}
	if sent > minBurst/datagramHeaders+1 {
		t.Errorf("%d empty datagrams at once", sent)
	}
	short := dial(t, tags, "short")
	for range 3 {
		if _, err := short.Write(nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err := short.Write(nil)
	wantReason(t, err, "short", Limited)
}

// TestMovesAreBounded has a function write all of its memory at once.
func TestMovesAreBounded(t *testing.T) {
	tags := open(t, nil, Binding{Tag: "db", Protocol: TCP, Addresses: []string{echo(t, "tcp", "127.0.0.1:0")}})
	c := dial(t, tags, "db")
	n, err := c.move(make([]byte, 8*maxMove), &c.tag.out, func(_ int, p []byte) (int, error) { return len(p), nil })
	if n != maxMove || err != nil {
		t.Errorf("%d bytes in one system call, %v", n, err)
	}
}

// TestManyInstances has somebody register a service over and over again.
func TestManyInstances(t *testing.T) {
	dead := nobody(t)
	lookup := func(context.Context, string) ([]string, error) {
		return strings.Split(strings.Repeat(dead+" ", 1000)+dead, " "), nil
	}
	tags := open(t, lookup, Binding{Tag: "db", Protocol: TCP, Service: "db"})
	_, err := tags.Dial(t.Context(), "db")
	wantReason(t, err, "db", Refused)
	if n := strings.Count(err.Error(), "refused") - 1; n != maxInstances {
		t.Errorf("it tries %d instances", n)
	}
}

// TestConnectionsAtOnce has many dials race for the last connections.
func TestConnectionsAtOnce(t *testing.T) {
	const limit = 3
	tags := open(t, nil, Binding{Tag: "db", Protocol: TCP, Addresses: []string{echo(t, "tcp", "127.0.0.1:0")},
		Limits: Limits{Connections: limit}})
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := tags.Dial(t.Context(), "db"); err != nil {
				wantReason(t, err, "db", Limited)
			}
		})
	}
	wg.Wait()
	if u := tags.Usage()[0]; u.Open > limit || u.Dialed > limit || u.Dialed+u.Refused != 30 {
		t.Errorf("%+v", u)
	}
}
