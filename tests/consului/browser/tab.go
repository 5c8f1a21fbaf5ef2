package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take to show what is waited for: a second where there is nothing else to do.
const Patience = time.Minute

const (
	pause = 100 * time.Millisecond // between two looks at a page
	calm  = 600 * time.Millisecond // for which a page has to stay the same to count as drawn
	// step bounds one command to the browser, which answers in milliseconds unless it hangs.
	step = time.Minute
)

// NotShownError says that a page does not show what it should. It is a finding about the page: the browser and the
// server work.
type NotShownError struct {
	URL  string // of the page
	What string // that was waited for
	Text string // that the page shows instead, shortened
}

// Error implements error.
func (e *NotShownError) Error() string {
	return fmt.Sprintf("%s does not show %s within %v; it shows %q", e.URL, e.What, Patience, e.Text)
}

// Open goes to a page and returns once its document is loaded, which is before scripts have drawn it.
func (b *Browser) Open(url string) error {
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	b.answers.forget()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	return nil
}

// Eval evaluates a JavaScript expression in the page.
func Eval[T any](b *Browser, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		return value, fmt.Errorf("read the page: %w", err)
	}
	return value, nil
}

// Wait waits until a JavaScript condition holds in the page; what describes it. An expression that throws does not hold
// yet. The error is a *NotShownError if it does not come to hold, or if gone holds, which says that waiting is in vain.
func (b *Browser) Wait(what, condition, gone string) error {
	expression := fmt.Sprintf(`(() => { try { return (%s) ? "yes" : (%s) ? "never" : "" } catch { return "" } })()`,
		condition, gone)
	for deadline := time.Now().Add(Patience); ; {
		state, err := Eval[string](b, expression)
		switch {
		case err != nil:
			return err
		case state == "yes":
			return nil
		case state == "never" || time.Now().After(deadline):
			return b.notShown(what)
		}
		if err := b.sleep(pause); err != nil {
			return err
		}
	}
}

// Settled reads the page until it has stayed the same for a moment, and returns what it then shows. A page that
// long-polls is never idle, so that can't be waited for.
func Settled[T any](b *Browser, what, expression string) (T, error) {
	var last T
	var since time.Time
	for deadline := time.Now().Add(Patience); ; {
		now, err := Eval[T](b, expression)
		if err != nil {
			return last, err
		}
		if since.IsZero() || !reflect.DeepEqual(now, last) {
			last, since = now, time.Now()
		} else if time.Since(since) >= calm {
			return now, nil
		}
		if time.Now().After(deadline) {
			return last, b.notShown("a steady " + what)
		}
		if err := b.sleep(pause); err != nil {
			return last, err
		}
	}
}

// Hover moves the mouse to a point of the window, in CSS pixels, coming from another one.
func (b *Browser) Hover(x, y float64) error {
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.MouseEvent(chromedp.MouseMoved, 1, 1),
		chromedp.MouseEvent(chromedp.MouseMoved, x, y))
	if err != nil {
		return fmt.Errorf("move the mouse to (%.0f, %.0f): %w", x, y, err)
	}
	return nil
}

// Tall makes the window high enough for lists that draw only the rows in sight.
func (b *Browser) Tall() error { return b.resize(b.ctx, 8000) }

// Screenshot writes what the window shows, in its usual size, to a PNG file.
func (b *Browser) Screenshot(path string) error {
	if err := b.resize(b.ctx, b.height); err != nil {
		return err
	}
	// Give transitions and the redrawing of lists their time.
	if err := b.sleep(calm); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("take the screenshot %s: %w", path, err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		return fmt.Errorf("save a screenshot: %w", err)
	}
	return nil
}

func (b *Browser) resize(ctx context.Context, height int64) error {
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(b.width, height)); err != nil {
		return fmt.Errorf("size the window: %w", err)
	}
	return nil
}

func (b *Browser) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-b.ctx.Done():
		return fmt.Errorf("read the page: %w", context.Cause(b.ctx))
	}
}

func (b *Browser) notShown(what string) error {
	type state struct{ URL, Text string }
	s, err := Eval[state](b, `({URL: location.href, Text: (document.querySelector("main") || document.body).innerText})`)
	if err != nil {
		return errors.Join(fmt.Errorf("the page does not show %s", what), err)
	}
	text := strings.Join(strings.Fields(s.Text), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return &NotShownError{URL: s.URL, What: what, Text: text}
}
