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
	browser    *browser.Browser
	base       string // URL of the service's pages
	datacenter string
	service    string
	out        string
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
	return &Pages{browser: b, base: base, datacenter: datacenter, service: service, out: out}, nil
}

// open opens a tab of the service's page and waits until condition holds in it.
func (p *Pages) open(tab, condition string) error {
	if err := p.browser.Open(p.base + "/" + strings.ToLower(tab)); err != nil {
		return err
	}
	selected := fmt.Sprintf(`[...document.querySelectorAll(".tab-nav li.selected")].
		some(e => e.textContent.trim() === %s)`, quote(tab))
	return p.browser.Wait(fmt.Sprintf("the %s tab of %s", tab, p.service), selected+" && ("+condition+")", lost)
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
