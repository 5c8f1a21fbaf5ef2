package interfaces

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// quote is an interface document with something of every kind.
const quote = `{"calls":{"tax":{"reply":{"format":"float64","kind":"number"},"request":{"kind":"string"}}},"function":"quote",` +
	`"reply":{"fields":[{"name":"kids","type":{"items":{"kind":"ref","up":2},"kind":"array"}},` +
	`{"name":"left","optional":true,"type":{"kind":"ref","nullable":true,"up":2}},` +
	`{"name":"named","type":{"keys":"int32","kind":"map","values":{"kind":"ref","nullable":true,"up":3}}},` +
	`{"name":"ok","type":{"kind":"boolean"}},{"name":"raw","type":{"kind":"any"}}],"kind":"object"},` +
	`"request":{"items":{"format":"quoted int64","kind":"string"},"kind":"array","length":3}}`

func TestParse(t *testing.T) {
	doc, err := Parse([]byte(quote))
	if err != nil {
		t.Fatal(err)
	}
	own := quote[strings.Index(quote, `"function"`):]
	if got := string(doc.Encode()); got != "{"+own {
		t.Errorf("encoded as\n%s, want\n{%s", got, own)
	}
	const tax = `{"function":"tax","reply":{"format":"float64","kind":"number"},"request":{"kind":"string"}}`
	if got := string(doc.Calls["tax"].Encode()); got != tax {
		t.Errorf("the callee is encoded as %s", got)
	}
	core, err := ParseInterface(doc.Encode())
	if err != nil || core.Digest() != doc.Digest() || !strings.HasPrefix(core.Digest(), "sha256:") {
		t.Errorf("read again: %v", err)
	}
	const spaced = ` {"request" : {"kind":"string"}, "reply":{"kind":"number", "format":"float64","nullable":false},"function":"t\u0061x"}`
	if got, err := ParseInterface([]byte(spaced)); err != nil || got.Digest() != doc.Calls["tax"].Digest() {
		t.Errorf("another order, white space and defaults: %v", err)
	}
	for name, want := range map[string]*Type{"kids": doc.Reply, "left": doc.Reply} {
		for _, f := range doc.Reply.Fields {
			inner := f.Type
			if inner.Kind == KindArray {
				inner = inner.Items
			}
			if v := inner.view(); f.Name == name && (v.of != want || v.null != (name == "left")) {
				t.Errorf("%s refers to %+v", name, v)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	with := func(request string) string {
		return `{"calls":{},"function":"quote","reply":{"kind":"string"},"request":` + request + `}`
	}
	if _, err := Parse([]byte(with(`{"kind":"string"}`))); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string][2]string{
		"nothing":             {``, "JSON"},
		"no object":           {`[]`, "no JSON object"},
		"two":                 {with(`{"kind":"any"}`) + "{}", "follows"},
		"no calls":            {`{"function":"quote","reply":{"kind":"string"},"request":{"kind":"string"}}`, "calls"},
		"no reply":            {`{"calls":{},"function":"quote","request":{"kind":"string"}}`, "reply"},
		"another member":      {`{"x":1,` + with(`{"kind":"string"}`)[1:], "does not know"},
		"no name":             {`{"calls":{},"function":"Quote","reply":{"kind":"string"},"request":{"kind":"string"}}`, "no name"},
		"digests":             {`{"calls":{"tax":"sha256:00"},"function":"quote","reply":{"kind":"string"},"request":{"kind":"string"}}`, "no object"},
		"a callee named":      {`{"calls":{"tax":{"function":"fx","reply":{"kind":"any"},"request":{"kind":"any"}}},"function":"quote","reply":{"kind":"any"},"request":{"kind":"any"}}`, "tax"},
		"a callee's bad name": {`{"calls":{"T":{"reply":{"kind":"any"},"request":{"kind":"any"}}},"function":"quote","reply":{"kind":"any"},"request":{"kind":"any"}}`, "no name"},
		"itself":              {`{"calls":{"quote":{"reply":{"kind":"any"},"request":{"kind":"any"}}},"function":"quote","reply":{"kind":"any"},"request":{"kind":"any"}}`, "own interface"},
		"a callee's member":   {`{"calls":{"tax":{"x":1,"reply":{"kind":"any"},"request":{"kind":"any"}}},"function":"quote","reply":{"kind":"any"},"request":{"kind":"any"}}`, "does not know"},
		"no kind":             {with(`{}`), "kind"},
		"another kind":        {with(`{"kind":"enum"}`), "none that this version knows"},
		"another format":      {with(`{"kind":"integer","format":"int128"}`), "none that this version knows"},
		"no format":           {with(`{"kind":"integer"}`), "none that this version knows"},
		"foreign format":      {with(`{"kind":"boolean","format":"int8"}`), "does not know"},
		"no items":            {with(`{"kind":"array"}`), "items"},
		"null items":          {with(`{"kind":"array","items":null}`), "items"},
		"a length below 0":    {with(`{"kind":"array","items":{"kind":"any"},"length":-1}`), "whole number"},
		"half a length":       {with(`{"kind":"array","items":{"kind":"any"},"length":1.5}`), "whole number"},
		"a length in quotes":  {with(`{"kind":"array","items":{"kind":"any"},"length":"1"}`), "whole number"},
		"a huge length":       {with(`{"kind":"array","items":{"kind":"any"},"length":1e999}`), "whole number"},
		"no values":           {with(`{"kind":"map"}`), "values"},
		"other keys":          {with(`{"kind":"map","keys":"float64","values":{"kind":"any"}}`), "none that this version knows"},
		"nullable what":       {with(`{"kind":"any","nullable":1}`), "true or false"},
		"nullable null":       {with(`{"kind":"any","nullable":null}`), "true or false"},
		"fields twice":        {with(`{"kind":"object","fields":[{"name":"a","type":{"kind":"any"}},{"name":"a","type":{"kind":"any"}}]}`), "in order"},
		"fields out of order": {with(`{"kind":"object","fields":[{"name":"b","type":{"kind":"any"}},{"name":"a","type":{"kind":"any"}}]}`), "in order"},
		"fields of what":      {with(`{"kind":"object","fields":{}}`), "list"},
		"a field without":     {with(`{"kind":"object","fields":[{"name":"b"}]}`), "type"},
		"a field of text":     {with(`{"kind":"object","fields":["b"]}`), "no object"},
		"a ref to nothing":    {with(`{"kind":"ref","up":1}`), "nothing that encloses"},
		"a ref to itself":     {with(`{"kind":"ref","nullable":true,"up":1}`), "nothing that encloses"},
		"a ref too far":       {with(`{"kind":"array","items":{"kind":"ref","up":2}}`), "nothing that encloses"},
		"a ref below":         {with(`{"kind":"array","items":{"kind":"ref","up":0}}`), "nothing that encloses"},
		"a ref without":       {with(`{"kind":"array","items":{"kind":"ref"}}`), "up"},
		"a name for escapes":  {with(`{"kind":"object","fields":[{"name":"\u001b[2J","type":{"kind":"x"}}]}`), `\x1b`},
	} {
		_, err := Parse([]byte(tc[0]))
		if err == nil || !strings.Contains(err.Error(), tc[1]) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want one about %q", name, err, tc[1])
		}
	}
}

// TestParseBounds has documents that are made to cost much.
func TestParseBounds(t *testing.T) {
	core := func(request string) []byte {
		return []byte(`{"function":"f","reply":{"kind":"any"},"request":` + request + `}`)
	}
	nested := func(n int) []byte {
		return core(strings.Repeat(`{"kind":"object","fields":[{"name":"a","type":`, n) + `{"kind":"any"}` + strings.Repeat(`}]}`, n))
	}
	if _, err := ParseInterface(nested(MaxDepth)); err != nil {
		t.Errorf("%d levels: %v", MaxDepth, err)
	}
	for _, n := range []int{MaxDepth + 1, MaxDepth * 20} {
		if _, err := ParseInterface(nested(n)); err == nil || !strings.Contains(err.Error(), "deep") {
			t.Errorf("%d levels: %v", n, err)
		}
	}
	wide := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"name":"%06d","type":{"kind":"any"}}`, i)
		}
		return core(`{"kind":"object","fields":[` + b.String()[1:] + `]}`)
	}
	if _, err := ParseInterface(wide(MaxTypes - 2)); err != nil {
		t.Error(err)
	}
	if _, err := ParseInterface(wide(MaxTypes - 1)); err == nil || !strings.Contains(err.Error(), "types") {
		t.Errorf("many types: %v", err)
	}
	if _, err := ParseInterface(core(strings.Repeat(" ", MaxDocument) + `{"kind":"any"}`)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a large document: %v", err)
	}
}

// TestServesBounds has recursive types that meet each other in very many pairs.
func TestServesBounds(t *testing.T) {
	// Every level of a chain has many fields that point back to each of the levels, in another order in each version.
	chain := func(levels, shift int) *Interface {
		var b strings.Builder
		for level := range levels {
			b.WriteString(`{"kind":"object","fields":[`)
			for f := range 100 {
				fmt.Fprintf(&b, `{"name":"a%03d","type":{"kind":"ref","up":%d}},`, f, 1+(f*shift)%(level+1))
			}
			b.WriteString(`{"name":"b","type":`)
		}
		b.WriteString(`{"kind":"any"}` + strings.Repeat(`}]}`, levels))
		i, err := ParseInterface([]byte(`{"function":"f","reply":{"kind":"any"},"request":` + b.String() + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	began := time.Now()
	if d := chain(30, 7).Serves(chain(30, 11)); len(d) == 0 || len(d) > 2*maxDifferences {
		t.Errorf("%d differences", len(d))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	c := comparison{function: "f", side: Request, met: map[pair]bool{}}
	for range maxPairs {
		c.met[pair{sender: view{of: &Type{}}}] = true
	}
	a := &Type{Kind: KindAny}
	if c.types(a.view(), a.view(), nil, false); len(c.found) != 1 || !c.gaveUp {
		t.Errorf("too many pairs give %v", c.found)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{quote, `{"calls":{},"function":"f","reply":{"kind":"any"},"request":{"kind":"map","values":{"kind":"ref","up":1}}}`,
		`{"calls":{},"function":"f","reply":{"kind":"object","nullable":true,"fields":[{"name":"next","type":{"kind":"ref","up":2}}]},"request":{"kind":"any"}}`} {
		f.Add([]byte(seed), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one, err := Parse(a)
		if err != nil {
			return
		}
		again, err := ParseInterface(one.Encode())
		if err != nil || again.Digest() != one.Digest() {
			t.Fatalf("%s is read as %s, and that is not: %v", a, one.Encode(), err)
		}
		if d := again.Serves(&one.Interface); len(d) != 0 {
			t.Fatalf("%s does not serve itself: %v", a, d)
		}
		if two, err := Parse(b); err == nil {
			for _, d := range one.Serves(&two.Interface) {
				if d.String() == "" {
					t.Error("a difference says nothing")
				}
			}
		}
	})
}
