package page

import (
	"errors"
	"fmt"
	"strings"

	"countersign/tests/consului/browser"
)

// Instance is an instance of the service, as the Instances tab and its own page show it.
type Instance struct {
	ID   string            // of the service instance
	Node string            // name
	Tags []string          // in their order
	Meta map[string]string // of the instance, as its page shows it under Tags & Meta
}

// list is what a list shows. It draws only the rows in sight, and makes room for all of them.
type list[T any] struct {
	Rows []T
	All  float64 // how many there is room for
}

func (l *list[T]) complete(what string) error {
	if int(l.All+0.5) != len(l.Rows) {
		return fmt.Errorf("read the %s: the page draws %d of %.0f rows; that is more than this test can see", what,
			len(l.Rows), l.All)
	}
	return nil
}

// Instances reads the Instances tab, and then the Tags & Meta tab of each instance. It saves instances.png and, of the
// first one, instance.png.
func (p *Pages) Instances() ([]Instance, error) {
	if err := p.browser.Tall(); err != nil {
		return nil, err
	}
	const tab, drawn = "Instances", `document.querySelector(".consul-service-instance-list li .header a")`
	if err := p.open(tab, drawn); err != nil {
		return nil, err
	}
	type row struct{ ID, Node, Link string }
	rows, err := browser.Settled[list[row]](p.browser, "list of instances", script(`
		const rows = all(".consul-service-instance-list li .header a").map(a => {
			const item = a.closest("li");
			return {ID: text(a), Link: a.href, Node: text(item.querySelector("dl.node dd")),
				Height: item.offsetHeight};
		});
		const room = document.querySelector(".consul-service-instance-list ul > li").offsetHeight;
		return {Rows: rows, All: room / rows[0].Height};`))
	if err != nil {
		return nil, err
	}
	if err := rows.complete("instances"); err != nil {
		return nil, err
	}
	if err := p.screenshot("instances"); err != nil {
		return nil, err
	}
	instances := make([]Instance, 0, len(rows.Rows))
	for i, r := range rows.Rows {
		if err := errors.Join(p.browser.Tall(), p.open(tab, drawn)); err != nil {
			return nil, err
		}
		in := Instance{ID: r.ID, Node: r.Node}
		if err := p.details(&in, r.Link); err != nil {
			return nil, fmt.Errorf("instance %s: %w", r.ID, err)
		}
		instances = append(instances, in)
		if i == 0 {
			if err := p.screenshot("instance"); err != nil {
				return nil, err
			}
		}
		if err := p.click("the way back", link("main nav a", "Service ("+p.service+")")); err != nil {
			return nil, err
		}
	}
	return instances, nil
}

// details reads tags and meta of an instance from its page, to which a link of the list leads.
func (p *Pages) details(in *Instance, href string) error {
	row := `all(".consul-service-instance-list a").find(a => a.href === ` + quote(href) + ")"
	if err := p.click("the instance", row); err != nil {
		return err
	}
	const tab = "Tags & Meta"
	here := `text(document.querySelector("main h1")) === ` + quote(in.ID) + " && "
	if err := p.click("a tab "+tab, here+link(".tab-nav a", tab)); err != nil {
		return err
	}
	const table = `document.querySelector(".consul-metadata-list tbody tr td")`
	if err := p.browser.Wait("the instance's meta", script("return "+here+table), lost); err != nil {
		return err
	}
	type pair struct{ Key, Value string }
	type details struct {
		Tags []string
		Meta list[pair]
	}
	d, err := browser.Settled[details](p.browser, "page of an instance", script(`
		const rows = all(".consul-metadata-list tbody tr").filter(r => r.cells.length === 2);
		const room = document.querySelector(".consul-metadata-list tbody > tr").offsetHeight;
		return {
			Tags: all("section.tags .tag-list dd span").map(text),
			Meta: {Rows: rows.map(r => ({Key: text(r.cells[0]), Value: text(r.cells[1])})),
				All: room / rows[0].offsetHeight},
		};`))
	if err != nil {
		return err
	}
	if err := d.Meta.complete("instance's meta"); err != nil {
		return err
	}
	in.Tags, in.Meta = d.Tags, map[string]string{}
	for _, m := range d.Meta.Rows {
		in.Meta[m.Key] = m.Value
	}
	return nil
}

// Intention is a row of the Intentions tab. "*" stands for all services.
type Intention struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Action      string `json:"action"` // "allow", "deny" or "app aware"
}

// Intentions reads the Intentions tab, which lists those that the service is the source or the destination of. It saves
// intentions.png.
func (p *Pages) Intentions() ([]Intention, error) {
	if err := p.browser.Tall(); err != nil {
		return nil, err
	}
	if err := p.open("Intentions", `document.querySelector(".consul-intention-list-table tbody tr td") ||
		document.querySelector("main .tab-section .empty-state")`); err != nil {
		return nil, err
	}
	rows, err := browser.Settled[list[Intention]](p.browser, "list of intentions", script(`
		const name = cell => { // without the remark about namespaces
			const copy = cell.cloneNode(true);
			all("em", copy).forEach(e => e.remove());
			return text(copy);
		};
		const rows = all(".consul-intention-list-table tbody tr").filter(r => r.querySelector("td.source"));
		if (rows.length === 0) return {Rows: [], All: 0};
		const room = document.querySelector(".consul-intention-list-table tbody > tr").offsetHeight;
		return {All: room / rows[0].offsetHeight, Rows: rows.map(r => ({
			source: name(r.querySelector("td.source")), destination: name(r.querySelector("td.destination")),
			action: text(r.querySelector("td.intent strong")).toLowerCase(),
		}))};`))
	if err != nil {
		return nil, err
	}
	if err := rows.complete("intentions"); err != nil {
		return nil, err
	}
	for i := range rows.Rows {
		r := &rows.Rows[i]
		r.Source, r.Destination = anyService(r.Source), anyService(r.Destination)
	}
	return rows.Rows, p.screenshot("intentions")
}

func anyService(name string) string {
	if strings.HasPrefix(name, "All Services") {
		return "*"
	}
	return name
}
