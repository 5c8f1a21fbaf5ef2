package ingress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"countersign"
)

// readBody reads the request's body of at most max bytes, once.
func (a *arrival) readBody(max int64) error {
	function := a.callee.Name()
	tooLarge := countersign.Errorf(countersign.CodeTooLarge, function,
		"the request is larger than the %d bytes that the function's spec allows (max_request)", max)
	if a.r.ContentLength > max || int64(len(a.body)) > max {
		return tooLarge
	}
	if a.read {
		return nil
	}
	a.read = true
	var body bytes.Buffer
	from := &metered{from: http.MaxBytesReader(a.w, a.r.Body, max), take: func(n int64) bool { return a.in.bodies.take(n, a.forwarded) }}
	_, err := io.Copy(&body, from)
	a.body = body.Bytes() // released by its length, whatever happened
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge
	case errors.Is(err, errNoRoom):
		return countersign.Errorf(countersign.CodeOverloaded, function, "this node holds as much of requests as it can; try again")
	case err != nil:
		return countersign.Errorf(countersign.CodeBadRequest, function, "the request could not be read: %w", fmt.Errorf("%w", err))
	}
	return nil
}

// errNoRoom says that the bodies of requests take all the memory that they may.
var errNoRoom = errors.New("no room for a request body")

// metered takes the bytes that it reads from what bodies may have in memory.
type metered struct {
	from io.Reader
	take func(int64) bool
}

// Read implements io.Reader.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	if n > 0 && !m.take(int64(n)) {
		return 0, errNoRoom
	}
	return n, err
}
