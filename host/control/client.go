package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"countersign/strictjson"
)

// Client is the driver's end of the control socket. It is safe for concurrent use. It connects when it is used, so
// it outlives the host that it spoke to and finds the next one. Where no host answers, errors are an
// *UnreachableError.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient returns a client of the host whose data directory is dir.
func NewClient(dir string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
		// A host may have been replaced since: a connection kept for long is of no use.
		IdleConnTimeout: 10 * time.Second,
	}
	return &Client{dir: dir, http: &http.Client{Transport: transport}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Info identifies the host that answers.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.do(ctx, http.MethodGet, "/v1/info", nil, &info)
	return info, err
}

// Start asks for a task to be admitted, verified and run; see Backend.Start. A refused or failed start is a *Failure.
func (c *Client) Start(ctx context.Context, request StartRequest) (StartReply, error) {
	var reply StartReply
	err := c.do(ctx, http.MethodPost, "/v1/tasks", request, &reply)
	return reply, err
}

// List tells about every task that the host knows.
func (c *Client) List(ctx context.Context) ([]Status, error) {
	var list []Status
	err := c.do(ctx, http.MethodGet, "/v1/tasks", nil, &list)
	return list, err
}

// Status tells about one task, or fails with ErrUnknownTask.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	var status Status
	err := c.do(ctx, http.MethodGet, taskPath(id, ""), nil, &status)
	return status, err
}

// Wait returns the task's status once it has exited. It may be called any number of times, also after the exit.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for {
		var status Status
		if err := c.do(ctx, http.MethodGet, taskPath(id, "/wait"), nil, &status); err != nil {
			return Status{}, err
		}
		if status.State == Exited {
			return status, nil
		}
	}
}

// Stop ends a task: no new calls, up to timeout for those in flight. It returns when the task has exited.
func (c *Client) Stop(ctx context.Context, id string, timeout time.Duration) error {
	return c.do(ctx, http.MethodPost, taskPath(id, "/stop"), stopRequest{Timeout: timeout}, nil)
}

// Signal passes on a signal by its name, such as SIGHUP.
func (c *Client) Signal(ctx context.Context, id, signal string) error {
	return c.do(ctx, http.MethodPost, taskPath(id, "/signal"), signalRequest{Signal: signal}, nil)
}

// Stats tells what one task uses.
func (c *Client) Stats(ctx context.Context, id string) (Stats, error) {
	var stats Stats
	err := c.do(ctx, http.MethodGet, taskPath(id, "/stats"), nil, &stats)
	return stats, err
}

// Forget drops what the host keeps about an exited task.
func (c *Client) Forget(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, taskPath(id, ""), nil, nil)
}

// FromNow asks Events for new events only.
const FromNow int64 = -1

// Events calls each for every event with a Seq greater than after that the host still keeps, and then for new ones as
// they happen, until ctx ends or the host goes away; it always returns an error. With FromNow, each sees new events
// only. Sequence numbers belong to one host process: after it was replaced, start again at 0.
func (c *Client) Events(ctx context.Context, after int64, each func(Event)) error {
	path := "/v1/events?after=" + strconv.FormatInt(after, 10)
	response, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := json.NewDecoder(response.Body)
	for {
		var line json.RawMessage
		var event Event
		if err := lines.Decode(&line); err != nil {
			return c.lost(ctx, err)
		}
		if err := strictjson.DecodeOpen(line, &event); err != nil {
			return c.lost(ctx, fmt.Errorf("reading an event: %w", err))
		}
		if event.Seq != 0 { // an event without a number only keeps the connection alive
			each(event)
		}
	}
}

func taskPath(id, verb string) string { return "/v1/tasks/" + url.PathEscape(id) + verb }

// do sends in as JSON and decodes the answer into out; each may be nil.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	response, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if out == nil {
		return nil
	}
	if err := decode(response.Body, out); err != nil {
		return c.lost(ctx, fmt.Errorf("reading the answer to %s %s: %w", method, path, err))
	}
	return nil
}

// send returns the response to a request that was not refused; its body is to be closed.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encoding the request %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://host"+path, body)
	if err != nil {
		return nil, fmt.Errorf("making the request %s %s: %w", method, path, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, c.failure(ctx, response)
	}
	return response, nil
}

// failure turns an answer that is no success into an error.
func (c *Client) failure(ctx context.Context, response *http.Response) error {
	if response.StatusCode == http.StatusNotFound {
		return ErrUnknownTask
	}
	f := new(Failure)
	if err := decode(response.Body, f); err != nil {
		return c.lost(ctx, fmt.Errorf("reading the reason of status %s: %w", response.Status, err))
	}
	return f
}

// lost tells a connection that failed from a caller that gave up.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var refused *url.Error
	if errors.As(err, &refused) {
		err = refused.Err // the made-up URL would tell nobody anything
	}
	return &UnreachableError{Dir: c.dir, Err: err}
}

// decode reads one JSON value of at most maxAnswer bytes.
func decode(r io.Reader, out any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	return strictjson.DecodeOpen(text, out)
}
