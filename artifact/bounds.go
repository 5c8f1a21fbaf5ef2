package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of one reading of an artifact, whatever a registry answers. They are applied while it is read.
const (
	maxRequests  = 400              // redirects, logins and repetitions included
	maxBeside    = 16 << 20         // bytes of answers beside the layers
	maxPages     = 16               // of a list of referrers
	maxReferrers = 1024             // in all its pages
	maxIndex     = 256 << 10        // bytes of one page: in memory it is a hundred times as much, if it is made for that
	maxHeader    = 64 << 10         // bytes of an answer's header
	maxPull      = 15 * time.Minute // in all
	maxSilence   = 30 * time.Second // until the next byte
)

// LimitError says that a registry answers with more than one artifact is worth, or more slowly.
type LimitError struct {
	What string // which bound was met
	Slow bool   // it was one of time
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the registry was not read to the end: %s", e.What)
}

// Unverified marks the error as a refusal of what the registry says.
func (e *LimitError) Unverified() bool { return !e.Slow }

// Unreachable marks a slow registry as one that trying again may cure.
func (e *LimitError) Unreachable() bool { return e.Slow }

func tooMuch(format string, args ...any) error {
	return &LimitError{What: fmt.Sprintf(format, args...)}
}

func tooSlow(format string, args ...any) error {
	return &LimitError{What: fmt.Sprintf(format, args...), Slow: true}
}

// budget is what a reading may still cost.
type budget struct {
	requests atomic.Int64
	bytes    atomic.Int64
}

type budgetKey struct{}

// bounded returns a context under which stores of this package read no more than one artifact is worth, and the budget
// of that. Within another bounded reading it is that one's.
func bounded(ctx context.Context) (context.Context, *budget, context.CancelFunc) {
	if b, ok := ctx.Value(budgetKey{}).(*budget); ok {
		return ctx, b, func() {}
	}
	b := new(budget)
	b.requests.Store(maxRequests)
	b.bytes.Store(maxBeside)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, budgetKey{}, b), maxPull,
		tooSlow("it took more than %v", maxPull))
	return ctx, b, cancel
}

// boundOf returns the bound that ended a reading, or nil.
func boundOf(ctx context.Context, err error) *LimitError {
	var limit *LimitError
	if errors.As(err, &limit) || err != nil && errors.As(context.Cause(ctx), &limit) {
		return limit
	}
	return nil
}

// meter charges requests and answers to the budget of their context, and ends those that stand still.
type meter struct {
	http.RoundTripper
	silence time.Duration
}

// RoundTrip implements http.RoundTripper.
func (m meter) RoundTrip(r *http.Request) (*http.Response, error) {
	b, ok := r.Context().Value(budgetKey{}).(*budget)
	if !ok {
		return m.RoundTripper.RoundTrip(r)
	}
	if b.requests.Add(-1) < 0 {
		return nil, tooMuch("it wants more than %d requests", maxRequests)
	}
	ctx, stop := context.WithCancelCause(r.Context())
	watch := time.AfterFunc(m.silence, func() { stop(tooSlow("it sent nothing for %v", m.silence)) })
	response, err := m.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		watch.Stop()
		stop(nil)
		if limit := boundOf(ctx, err); limit != nil {
			err = limit
		}
		return nil, err
	}
	body := &metered{response.Body, ctx, b, math.MaxInt64, watch, m.silence, stop}
	if response.Header.Get("Content-Type") == ocispec.MediaTypeImageIndex {
		body.left = maxIndex
	}
	response.Body = body
	return response, nil
}

// metered is the body of an answer.
type metered struct {
	io.ReadCloser
	ctx     context.Context
	budget  *budget
	left    int64 // bytes of this answer
	watch   *time.Timer
	silence time.Duration
	stop    context.CancelCauseFunc
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	switch {
	case m.budget.bytes.Load() < 0:
		return 0, tooMuch("it sent more bytes than the artifact has, and %d beside them", maxBeside)
	case m.left < 0:
		return 0, tooMuch("a list of attestations has more than %d bytes", maxIndex)
	}
	m.watch.Reset(m.silence)
	n, err := m.ReadCloser.Read(p)
	m.budget.bytes.Add(-int64(n))
	m.left -= int64(n)
	if err != nil && err != io.EOF {
		if limit := boundOf(m.ctx, err); limit != nil {
			err = limit
		}
	}
	return n, err
}

// Close implements io.Closer.
func (m *metered) Close() error {
	m.watch.Stop()
	err := m.ReadCloser.Close()
	m.stop(nil)
	return err
}
