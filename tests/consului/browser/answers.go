package browser

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// answers remembers which responses the page has received, so that what it draws from can be looked at.
type answers struct {
	mu       sync.Mutex
	paths    map[network.RequestID]string // of responses that have begun
	complete map[string]network.RequestID // by URL path, the latest whose body has arrived
}

// event is called by the goroutine that reads the browser's messages, and must not wait.
func (a *answers) event(event any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.paths == nil {
		a.paths, a.complete = map[network.RequestID]string{}, map[string]network.RequestID{}
	}
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if u, err := url.Parse(e.Response.URL); err == nil && e.Response.Status == 200 {
			a.paths[e.RequestID] = u.Path
		}
	case *network.EventLoadingFinished:
		if path, ok := a.paths[e.RequestID]; ok {
			a.complete[path] = e.RequestID
			delete(a.paths, e.RequestID)
		}
	}
}

func (a *answers) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.paths)
	clear(a.complete)
}

// Answer returns the body of the latest response that the open page has received from a path of its server. A page
// that received none is a *NotShownError.
func (b *Browser) Answer(path string) ([]byte, error) {
	b.answers.mu.Lock()
	id, ok := b.answers.complete[path]
	b.answers.mu.Unlock()
	if !ok {
		return nil, b.notShown("anything that it got from " + path)
	}
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	result, err := chromedp.Call(ctx, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
	if err != nil {
		return nil, fmt.Errorf("read what the page got from %s: %w", path, err)
	}
	return result.Body, nil
}
