package patience

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// said collects what people are told.
type said struct {
	mu   sync.Mutex
	list []string
}

func (s *said) tell(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, text)
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.list, "\n")
}

// get asks a server that answers with handler, with small limits.
func get(t *testing.T, ctx context.Context, s *said, limit time.Duration, handler http.HandlerFunc) (string, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &Transport{Base: http.DefaultTransport, Server: "Vault at " + server.URL,
		Limit: limit, Quiet: limit / 8}}
	request, err := http.NewRequestWithContext(WithTeller(ctx, s.tell), http.MethodPost, server.URL, strings.NewReader("asked"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func silence(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	<-r.Context().Done()
}

// begin sends half of an answer, which then does not go on.
func begin(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func TestSilence(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{"no answer": silence, "half an answer": begin} {
		var s said
		_, err := get(t, t.Context(), &s, 200*time.Millisecond, handler)
		var e *SilentError
		if !errors.As(err, &e) || !e.Unreachable() || !strings.Contains(e.Error(), "Vault at http") {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(s.text(), "waiting for Vault at http") {
			t.Errorf("%s: a person was told %q", name, s.text())
		}
	}
}

// TestSlowButMoving has an answer that takes longer than the limit, but never stands still for so long.
func TestSlowButMoving(t *testing.T) {
	const limit = 2 * time.Second
	var s said
	text, err := get(t, t.Context(), &s, limit, func(w http.ResponseWriter, r *http.Request) {
		for range 12 {
			_, _ = io.WriteString(w, ".")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(limit / 10)
		}
	})
	if err != nil || len(text) != 12 {
		t.Errorf("%q, %v", text, err)
	}
}

func TestPromptAnswerIsNotTold(t *testing.T) {
	var s said
	text, err := get(t, t.Context(), &s, time.Minute, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	if err != nil || text != "asked" || s.text() != "" {
		t.Errorf("%q, %v, told %q", text, err, s.text())
	}
}

// TestKeptBack has requests whose answers a server is asked to keep back.
func TestKeptBack(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"":                  0,
		"index=0&wait=1m":   0,
		"wait=1m":           0,
		"index=7&wait=1m":   time.Minute + time.Minute/16,
		"index=7":           5*time.Minute + 5*time.Minute/16,
		"index=7&wait=much": 5*time.Minute + 5*time.Minute/16,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := keptBack(values); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

// TestInterrupted has a person who does not want to wait.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	var s said
	var e *SilentError
	if _, err := get(t, ctx, &s, time.Minute, silence); !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("%v", err)
	}
}
