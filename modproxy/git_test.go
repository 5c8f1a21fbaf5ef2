package modproxy

import (
	"io"
	"strings"
	"testing"
)

// A program's output is copied by io.Copy, which must not go around the limit.
func TestLimitedByCopy(t *testing.T) {
	l := &limited{left: 10}
	n, err := io.Copy(l, io.LimitReader(strings.NewReader(strings.Repeat("x", 1000)), 1000))
	if err == nil || len(l.String()) > 10 {
		t.Errorf("%d copied, %d kept, %v", n, len(l.String()), err)
	}
}
