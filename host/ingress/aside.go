package ingress

import (
	"net/http"
	"path"
	"strings"

	"countersign/vaultsign/callsig"
)

// Limits of all requests, of which calls are few: also a refusal takes memory until it has been read.
const (
	maxRequests   = 8192 // that are being answered, whatever they are
	requestsShare = 2048 // of these, from one address that is no other host's
	scrapesShare  = 2    // of the readings of metrics at a time, from one address
)

// enter takes one of the places for requests, which release gives back.
func (in *Server) enter(r *http.Request) (release func(), ok bool) {
	from, host := sourceOf(r.RemoteAddr), r.TLS != nil && isHost(r.TLS)
	if !host && !in.requestShares.take(from) {
		return nil, false
	}
	ok = in.requests.take(1, host)
	if !ok && !host {
		in.requestShares.give(from)
	}
	return func() {
		in.requests.give(1, host)
		if !host {
			in.requestShares.give(from)
		}
	}, ok
}

// isCall tells requests that may take their time from those that are answered at once, by serveCall or by nobody.
func isCall(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, callsig.PathPrefix) && path.Clean(r.URL.Path) == r.URL.Path
}

// flush waits until the client of an HTTP/2 connection takes the answer, which net/http would otherwise do when nothing
// is counted any more. Over HTTP/1 what a connection holds is bounded by itself.
func flush(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		_ = http.NewResponseController(w).Flush() // a client that is gone is told by nobody
	}
}

// serveMetrics has metrics read by several addresses, of which none can take all places by reading slowly.
func (in *Server) serveMetrics(metrics http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from := sourceOf(r.RemoteAddr)
		if !in.scrapes.take(from) {
			http.Error(w, "metrics are being sent to this address already", http.StatusServiceUnavailable)
			return
		}
		defer in.scrapes.give(from)
		metrics.ServeHTTP(w, r)
	}
}
