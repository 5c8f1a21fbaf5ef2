package nobody_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"countersign/tests/nobody"
)

func TestNobodyListensNorCan(t *testing.T) {
	address := nobody.Listens(t)
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting: %v", err)
	}
	if l, err := net.Listen("tcp", address); err == nil {
		l.Close()
		t.Error("another one could listen there")
	}
}
