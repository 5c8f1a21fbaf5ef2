package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// rest speaks JSON to one server. The servers' own client libraries take addresses, tokens and namespaces from the
// environment of whoever runs the command, which must not lead one cluster to another.
type rest struct {
	base  string
	token string // Vault token, or ""
}

// restClient keeps no connection open: a server may be stopped between two requests.
var restClient = &http.Client{
	Timeout: 30 * time.Second,
	Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             nil,
	},
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

// statusError is an answer other than success.
type statusError struct {
	method, url string
	code        int
	text        string // what the server said; never what was sent
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.method, e.url, e.code, e.text)
}

// do sends in as JSON unless it is nil, and decodes the answer into out unless that is nil.
func (r rest) do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	data, err := r.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: answer: %w", method, path, err)
	}
	return nil
}

// send makes one request and returns the body of a successful answer.
func (r rest) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	resp, err := restClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		text := strings.Join(strings.Fields(string(data[:min(len(data), 400)])), " ")
		return nil, &statusError{method, r.base + path, resp.StatusCode, text}
	}
	return data, nil
}

func (r rest) get(ctx context.Context, path string, out any) error {
	return r.do(ctx, http.MethodGet, path, nil, out)
}

func (r rest) put(ctx context.Context, path string, in, out any) error {
	return r.do(ctx, http.MethodPut, path, in, out)
}

// page returns what a browser would get.
func (r rest) page(ctx context.Context, path string) (string, error) {
	data, err := r.send(ctx, http.MethodGet, path, nil)
	return string(data), err
}
