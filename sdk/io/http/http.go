// Package http makes HTTP requests through network tags.
//
//	client := &nethttp.Client{Transport: http.RoundTripper("rates")}
//	resp, err := client.Get("http://rates/v1/EUR")
//
// It is apart from package io, since net/http makes a function's module larger by megabytes.
package http

import (
	"net/http"
	"sync"
	"time"

	"countersign.internal/sdk/io"
)

var transports sync.Map // tag → *http.Transport

// RoundTripper sends requests to what the tag is bound to. The host of a URL is what the server is told, and what TLS checks
// its certificate against; where requests go, the environment says. There is one per tag, whose connections are kept from
// call to call.
func RoundTripper(tag string) http.RoundTripper {
	if t, ok := transports.Load(tag); ok {
		return t.(*http.Transport)
	}
	t, _ := transports.LoadOrStore(tag, &http.Transport{
		DialContext:           io.Dialer(tag).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4, // of a sandbox, which has one call at a time
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	})
	return t.(*http.Transport)
}
