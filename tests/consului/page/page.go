// Package page reads what the Consul UI shows about a service: from the rendered elements, as a person would, with one
// exception that Routing names. It must not know what should be there.
package page

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"countersign/tests/consului/browser"
)

// helpers are JavaScript functions for the expressions below. text is the text of an element without the spaces of the
// markup; all finds elements.
const helpers = `
	const text = e => e ? e.textContent.replace(/\s+/g, " ").trim() : "";
	const all = (selector, root) => [...(root || document).querySelectorAll(selector)];
	`

// lost holds when the UI shows an error instead of what was asked for.
const lost = `document.querySelector("main .empty-state[class*=status-]")`

// Pages are the pages of one service in the UI.
type Pages struct {
	browser *browser.Browser
	service string
	out     string // directory
}

// Visit opens the UI of the Consul agent at a URL such as http://127.0.0.1:8500 and returns the pages of a service in
// the agent's datacenter. Screenshots go to the directory out. The error is a *browser.NotShownError if what answers
// isn't the UI.
func Visit(b *browser.Browser, consul, service, out string) (*Pages, error) {
	consul = strings.TrimSuffix(consul, "/")
	if err := b.Open(consul + "/ui/"); err != nil {
		return nil, err
	}
	const home = `location.pathname.match(/^\/ui\/([^/]+)\/[^/]+/)`
	if err := b.Wait("the Consul UI", home+` && document.querySelector("main .app-view h1")`, "false"); err != nil {
		return nil, err
	}
	datacenter, err := browser.Eval[string](b, home+"[1]")
	if err != nil {
		return nil, err
	}
	base := consul + "/ui/" + url.PathEscape(datacenter) + "/services/" + url.PathEscape(service)
	return &Pages{browser: b, service: service, out: out}, b.Open(base)
}

// open goes to a tab of the service's page as people do, by a click, which also spares the browser from starting the UI
// again, and waits until condition holds in it.
func (p *Pages) open(tab, condition string) error {
	what := fmt.Sprintf("a tab %s of %s", tab, p.service)
	title := fmt.Sprintf(`text(document.querySelector("main h1")) === %s`, quote(p.service))
	if err := p.click(what, title+" && "+link(".tab-nav a", tab)); err != nil {
		return err
	}
	// The mouse is out of the way, so that it marks nothing in the pictures.
	if err := p.browser.Hover(0, 0); err != nil {
		return err
	}
	return p.browser.Wait(what, script("return "+title+" && "+link(".tab-nav .selected a", tab)+
		" && ("+condition+")"), lost)
}

// link returns an expression for the element of a selector that has a certain text.
func link(selector, label string) string {
	return fmt.Sprintf("all(%s).find(e => text(e) === %s)", quote(selector), quote(label))
}

// click waits for an element and clicks on it.
func (p *Pages) click(what, element string) error {
	if err := p.browser.Wait(what, script("return "+element), lost); err != nil {
		return err
	}
	_, err := browser.Eval[bool](p.browser, script("("+element+").click(); return true"))
	return err
}

func (p *Pages) screenshot(name string) error {
	return p.browser.Screenshot(filepath.Join(p.out, name+".png"))
}

// quote returns a JavaScript string literal.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(text)
}

// script returns an expression for the value of a function's body, which may use the helpers.
func script(body string) string { return "(() => {" + helpers + body + "})()" }
