package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// maxMessage bounds a request, in bytes. A StartRequest is a few paths and names.
	maxMessage = 1 << 20
	// maxAnswer bounds an answer, in bytes: the tasks of a node with what they use.
	maxAnswer = 16 << 20
	// waitPoll is how long one answer to Wait may take; the client asks again.
	waitPoll = 30 * time.Second
	// keepAlive is how often a stream of events shows that the host is there.
	keepAlive = 15 * time.Second
)

type (
	stopRequest struct {
		Timeout time.Duration `json:"timeout_ns"`
	}
	signalRequest struct {
		Signal string `json:"signal"`
	}
)

// handler answers requests for a backend.
type handler struct {
	backend Backend
	events  *eventLog
}

// newHandler returns the server end of the control protocol, version 1, over HTTP/1.1 and JSON. It keeps the
// backend's latest events for clients that reconnect; ctx ends that and every long poll.
func newHandler(ctx context.Context, backend Backend) http.Handler {
	h := &handler{backend: backend, events: newEventLog()}
	events, cancel := backend.Subscribe()
	go func() {
		defer cancel()
		h.events.collect(ctx, events)
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/info", h.info)
	mux.HandleFunc("GET /v1/tasks", h.list)
	mux.HandleFunc("POST /v1/tasks", h.start)
	mux.HandleFunc("GET /v1/tasks/{id}", h.status)
	mux.HandleFunc("DELETE /v1/tasks/{id}", h.forget)
	mux.HandleFunc("GET /v1/tasks/{id}/wait", h.wait)
	mux.HandleFunc("GET /v1/tasks/{id}/stats", h.stats)
	mux.HandleFunc("POST /v1/tasks/{id}/stop", h.stop)
	mux.HandleFunc("POST /v1/tasks/{id}/signal", h.signal)
	mux.HandleFunc("GET /v1/events", h.stream)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxMessage)
		mux.ServeHTTP(w, r)
	})
}

func (h *handler) info(w http.ResponseWriter, _ *http.Request) {
	info := h.backend.Info()
	info.PID, info.Version = os.Getpid(), Version
	tick, err := StartTick(info.PID)
	if err != nil {
		refuse(w, err)
		return
	}
	info.StartTick = tick
	answer(w, info)
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request) {
	list := h.backend.List()
	if list == nil {
		list = []Status{}
	}
	answer(w, list)
}

func (h *handler) start(w http.ResponseWriter, r *http.Request) {
	var request StartRequest
	if !read(w, r, &request) {
		return
	}
	reply, err := h.backend.Start(r.Context(), request)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, reply)
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	status, ok := h.backend.Status(r.PathValue("id"))
	if !ok {
		refuse(w, ErrUnknownTask)
		return
	}
	answer(w, status)
}

// wait answers when the task has exited, or with its status as it is after a while.
func (h *handler) wait(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if _, ok := h.backend.Status(id); !ok {
		refuse(w, ErrUnknownTask)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), waitPoll)
	defer cancel()
	status, err := h.backend.Wait(ctx, id)
	switch {
	case err == nil:
		answer(w, status)
	case r.Context().Err() != nil:
		// The client left or the host stops: a dropped connection must not look like an answer.
		panic(http.ErrAbortHandler)
	case errors.Is(err, context.DeadlineExceeded):
		h.status(w, r)
	default:
		refuse(w, err)
	}
}

func (h *handler) stop(w http.ResponseWriter, r *http.Request) {
	var request stopRequest
	if !h.known(w, r) || !read(w, r, &request) {
		return
	}
	// A stop goes on when the driver dies half-way: calls in flight keep their time.
	done(w, h.backend.Stop(context.WithoutCancel(r.Context()), r.PathValue("id"), max(request.Timeout, 0)))
}

func (h *handler) signal(w http.ResponseWriter, r *http.Request) {
	var request signalRequest
	if !h.known(w, r) || !read(w, r, &request) {
		return
	}
	done(w, h.backend.Signal(r.PathValue("id"), request.Signal))
}

func (h *handler) stats(w http.ResponseWriter, r *http.Request) {
	stats, ok := h.backend.Stats(r.PathValue("id"))
	if !ok {
		refuse(w, ErrUnknownTask)
		return
	}
	answer(w, stats)
}

func (h *handler) forget(w http.ResponseWriter, r *http.Request) {
	if h.known(w, r) {
		done(w, h.backend.Forget(r.PathValue("id")))
	}
}

// stream writes events as JSON lines until the client leaves.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		refuse(w, &Failure{Kind: Invalid, Message: fmt.Sprintf("reading `after` of a request for events: %v", err)})
		return
	}
	next := h.events.cursor(after)
	control, lines := http.NewResponseController(w), json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/jsonl")
	if control.Flush() != nil {
		return
	}
	for {
		batch, changed := h.events.since(next)
		for _, event := range batch {
			if lines.Encode(event) != nil {
				return
			}
			next = event.Seq
		}
		if len(batch) > 0 && control.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-time.After(keepAlive):
			if lines.Encode(Event{}) != nil || control.Flush() != nil {
				return
			}
		}
	}
}

// known refuses a request about a task that the backend does not know.
func (h *handler) known(w http.ResponseWriter, r *http.Request) bool {
	_, ok := h.backend.Status(r.PathValue("id"))
	if !ok {
		refuse(w, ErrUnknownTask)
	}
	return ok
}

func read(w http.ResponseWriter, r *http.Request, out any) bool {
	if err := decode(r.Body, out); err != nil {
		refuse(w, &Failure{Kind: Invalid, Message: fmt.Sprintf("reading a request to the host: %v", err)})
		return false
	}
	return true
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// An error here is a client that left: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}

// refuse sends an error as a Failure.
func refuse(w http.ResponseWriter, err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Kind: Internal, Message: err.Error()}
	}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrUnknownTask):
		status = http.StatusNotFound
	case f.Kind == Refused:
		status = http.StatusForbidden
	case f.Kind == Unreachable:
		status = http.StatusServiceUnavailable
	case f.Kind == Invalid:
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}
