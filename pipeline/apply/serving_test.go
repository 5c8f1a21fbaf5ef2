package apply

import (
	"context"
	"errors"
	"testing"
	"time"

	"countersign/pipeline/failure"
	"countersign/pipeline/hosts"
	"countersign/pipeline/nomad"
	"countersign/vaultsign/identity"
)

// seen is what Nomad, Consul and a host say of a function, one word of each after the other; the last stays.
type seen struct {
	Cluster
	allocations [][]string
	passing     []map[string]string
	answers     []error
	asked       []hosts.Instance
}

func next[T any](list *[]T) T {
	v := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return v
}

func (s *seen) WaitHealthy(context.Context, *nomad.Started, time.Duration, func(string)) ([]string, error) {
	return next(&s.allocations), nil
}

func (s *seen) Passing(context.Context, string) (map[string]string, error) {
	if p := next(&s.passing); p != nil {
		return p, nil
	}
	return nil, &failure.UnreachableError{Server: "Consul", Err: errors.New("it is away")}
}

func (s *seen) Answers(_ context.Context, i hosts.Instance) error {
	s.asked = append(s.asked, i)
	return next(&s.answers)
}

func (s *seen) await(t *testing.T, timeout time.Duration) (int, error) {
	t.Helper()
	e := &Engine{Options: Options{Timeout: timeout}, Cluster: s, Instances: s, Hosts: s}
	return e.serving(t.Context(), &nomad.Started{Function: "quote"}, func(string) {})
}

// TestServing has what ran when it was looked at first, and is away when its host is asked.
func TestServing(t *testing.T) {
	away := &failure.UnreachableError{Server: "the host", Err: errors.New("it ended")}
	s := &seen{
		allocations: [][]string{{"old"}, {"old"}, {"old"}, {"new"}},
		passing:     []map[string]string{nil, {}, {"old": "a:1"}, {"old": "a:1"}, {"old": "a:1", "new": "b:1"}},
		answers:     []error{away, nil},
	}
	if n, err := s.await(t, time.Minute); n != 1 || err != nil {
		t.Errorf("%d serve, %v", n, err)
	}
	if last := s.asked[len(s.asked)-1]; last != (hosts.Instance{Function: "quote", Allocation: "new", Address: "b:1"}) {
		t.Errorf("the last that was asked is %+v", last)
	}
}

func TestServingOfNone(t *testing.T) {
	s := &seen{allocations: [][]string{nil}, passing: []map[string]string{{}}}
	if n, err := s.await(t, time.Minute); n != 0 || err != nil {
		t.Errorf("of a function that is to have no allocation: %d serve, %v", n, err)
	}
}

// TestNotServing has what stays away for longer than a deploy waits, and what must not be waited for.
func TestNotServing(t *testing.T) {
	here := []map[string]string{{"x": "a:1"}}
	for name, s := range map[string]*seen{
		"Consul does not pass it": {passing: []map[string]string{{"other": "a:1"}}, answers: []error{nil}},
		"Consul is away":          {passing: []map[string]string{nil}, answers: []error{nil}},
		"its host does not":       {passing: here, answers: []error{&hosts.NotServingError{Err: errors.New("404")}}},
	} {
		s.allocations = [][]string{{"x"}}
		var e *NotServingError
		if _, err := s.await(t, 150*time.Millisecond); !errors.As(err, &e) || e.Err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := &identity.CertificateError{Reason: identity.ReasonWrongID, Message: "want quote's"}
	s := &seen{allocations: [][]string{{"x"}}, passing: here, answers: []error{forged}}
	var refused *identity.CertificateError
	if _, err := s.await(t, time.Hour); !errors.As(err, &refused) {
		t.Errorf("a host that is another: %v", err)
	}
}
