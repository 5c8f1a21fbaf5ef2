// Command fetcher is a function that uses its network tags on request, for the end-to-end tests.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"countersign.internal/sdk"
	sdkio "countersign.internal/sdk/io"
	sdkhttp "countersign.internal/sdk/io/http"
)

// Request says what to do with which tag.
type Request struct {
	Do   string `json:"do"`
	Tag  string `json:"tag"`
	Text string `json:"text,omitempty"`
}

// Reply is what came of it.
type Reply struct {
	Text string `json:"text"`
}

var fetcher = sdk.Define[Request, Reply]("fetcher")

func init() { sdk.Handle(fetcher, handle) }

func main() { sdk.Main() }

func handle(ctx context.Context, req Request) (Reply, error) {
	switch req.Do {
	case "get", "post":
		return fetch(ctx, req)
	case "echo":
		c, err := sdkio.Dial(ctx, req.Tag)
		if err != nil {
			return Reply{}, err
		}
		defer c.Close()
		if _, err := io.WriteString(c, req.Text); err != nil {
			return Reply{}, err
		}
		b := make([]byte, len(req.Text))
		n, err := io.ReadFull(c, b)
		return Reply{string(b[:n])}, err
	case "accept":
		l, err := sdkio.Listen(req.Tag)
		if err != nil {
			return Reply{}, err
		}
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			return Reply{}, err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		return Reply{string(b)}, err
	case "address": // by Go's own package, without a tag
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", req.Text)
		if err != nil {
			return Reply{}, err
		}
		return Reply{"connected"}, c.Close()
	}
	return Reply{}, fmt.Errorf("can't do %q", req.Do)
}

// fetch makes an HTTP request and returns the body of the answer.
func fetch(ctx context.Context, req Request) (Reply, error) {
	method := http.MethodGet
	if req.Do == "post" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://server.example/"+req.Text, nil)
	if err != nil {
		return Reply{}, err
	}
	resp, err := (&http.Client{Transport: sdkhttp.RoundTripper(req.Tag)}).Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Reply{string(body)}, err
}
