package host

import (
	"encoding/json"
	"errors"
	"net/http"

	"countersign"
)

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
func (in *ingress) refuse(w http.ResponseWriter, r *http.Request, err error) {
	in.refuseWith(w, r, statusOf(countersign.CodeOf(err)), err)
}

// refuseWith is refuse with a status that says more about HTTP than the code's own.
func (in *ingress) refuseWith(w http.ResponseWriter, r *http.Request, status int, err error) {
	p := problemOf(err)
	p.Status = status
	in.host.log.Info("call refused", "function", r.PathValue("function"), "code", p.Code, "reason", p.Detail, "remote", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 section 3
	}
	setWriteDeadline(w)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}
