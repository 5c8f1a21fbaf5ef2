package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"countersign"
	"countersign/host/control"
)

// Limits of the call listener, documented in docs/call-format.md.
const (
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 60 * time.Second
)

// ingress is the server of the call listener: calls from outside, and the health of instances.
func (h *Host) ingress() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /call/{function}", h.serveCall)
	mux.HandleFunc("GET /v1/health/{allocation}", h.serveHealth)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: mux, Protocols: protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout}
}

// serveHealth answers 200 while the allocation can be called, for the check that its Nomad job registers in Consul.
func (h *Host) serveHealth(w http.ResponseWriter, r *http.Request) {
	for _, s := range h.List() {
		if s.AllocID == r.PathValue("allocation") && s.State == control.Running {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]string{"function": s.Function, "artifact": s.Artifact, "state": "running"})
			return
		}
	}
	http.Error(w, "no such allocation runs here", http.StatusNotFound)
}

// problem is an RFC 9457 problem document. It is the body of every failed call, from outside or within.
type problem struct {
	Type   string           `json:"type"`
	Title  string           `json:"title"`
	Status int              `json:"status"`
	Code   countersign.Code `json:"code"`
	Detail string           `json:"detail"`
}

// problemOf describes err for the party at the other end: code and reason, never the cause.
func problemOf(err error) problem {
	code, reason := countersign.CodeOf(err), "internal error; the host's log has the cause"
	var ce *countersign.CallError
	if errors.As(err, &ce) {
		reason = ce.Reason
	} else if code != countersign.CodeInternal {
		reason = err.Error()
	}
	return problem{Type: "about:blank", Title: string(code), Status: statusOf(code), Code: code, Detail: reason}
}

// statuses maps codes to HTTP statuses (docs/errors.md). What is not here is a fault: 500.
var statuses = map[countersign.Code]int{
	"":                              http.StatusOK,
	countersign.CodeBadRequest:      http.StatusBadRequest,
	countersign.CodeUnverified:      http.StatusUnauthorized,
	countersign.CodeExpired:         http.StatusUnauthorized,
	countersign.CodeReplayed:        http.StatusUnauthorized,
	countersign.CodeNotPermitted:    http.StatusForbidden,
	countersign.CodeUnknownFunction: http.StatusNotFound,
	countersign.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	countersign.CodeFailed:          http.StatusUnprocessableEntity,
	countersign.CodeOverloaded:      http.StatusTooManyRequests,
	countersign.CodeCanceled:        499, // no standard status; nginx's, widely understood
	countersign.CodeUnavailable:     http.StatusServiceUnavailable,
	countersign.CodeDeadline:        http.StatusGatewayTimeout,
	countersign.CodeLoop:            http.StatusLoopDetected,
}

func statusOf(code countersign.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// refuse answers a call that reached no instance: nobody can sign for the function, so the answer carries no
// signature.
func (h *Host) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	h.log.Info("call refused", "function", r.PathValue("function"), "code", p.Code, "reason", p.Detail, "remote", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// readBody reads a request body of at most max bytes.
func readBody(w http.ResponseWriter, r *http.Request, function string, max int64) ([]byte, error) {
	tooLarge := func() error {
		return countersign.Errorf(countersign.CodeTooLarge, function, "the request is larger than the %d bytes that the function's spec allows (max_request)", max)
	}
	if r.ContentLength > max {
		return nil, tooLarge()
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength))
	}
	if _, err := io.Copy(&body, http.MaxBytesReader(w, r.Body, max)); err != nil {
		var limit *http.MaxBytesError
		if errors.As(err, &limit) {
			return nil, tooLarge()
		}
		return nil, countersign.Errorf(countersign.CodeBadRequest, function, "the request could not be read: %w", fmt.Errorf("%w", err))
	}
	return body.Bytes(), nil
}
