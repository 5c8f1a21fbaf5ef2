package calls

import (
	"context"
	"fmt"
	"testing"

	"countersign"
	"countersign/interfaces"
)

// document is an interface document of quote, built with an interface of tax whose reply has a field.
func document(t *testing.T, field string) *interfaces.Document {
	t.Helper()
	reply := fmt.Sprintf(`{"kind":"object","fields":[{"name":%q,"type":{"kind":"string"}}]}`, field)
	d, err := interfaces.Parse(fmt.Appendf(nil, `{"calls":{"tax":{"reply":%s,"request":{"kind":"any"}}},"function":"quote","reply":{"kind":"any"},`+
		`"request":{"kind":"any"}}`, reply))
	must(t, err)
	return d
}

// TestLyingHostsAreGoneAround has a host that refuses an interface which its own terms say it has, and one that says it has the
// caller's and refuses it: neither keeps calls from instances that serve them.
func TestLyingHostsAreGoneAround(t *testing.T) {
	c := newCaller(t)
	d := document(t, "text")
	own, other := d.Calls["tax"].Digest(), document(t, "message").Calls["tax"].Digest()
	c.faces = facesOf(d)
	refuse := func(f *far) *far { f.face = other; return f }
	liar := c.runs(refuse(new(far)))
	strange := c.runs(&far{face: own, run: func(context.Context) error {
		return countersign.Errorf(countersign.CodeInterfaceMismatch, "tax", "it does not fit")
	}})
	good := c.runs(&far{face: own})
	for i := range c.tax {
		c.tax[i].Interface = own // Consul says so
	}
	c.endpoints()
	for range 20 {
		must(t, c.call(t.Context(), `{}`))
	}
	if liar.calls.Load() != 0 || strange.calls.Load() == 0 || good.calls.Load() != 20 {
		t.Errorf("%d and %d calls came to the hosts that lie, %d to the other", liar.calls.Load(), strange.calls.Load(), good.calls.Load())
	}
	if c.misfits.has(own, own) {
		t.Error("it is remembered that an interface does not fit itself")
	}
}

func TestMisfitsAreBounded(t *testing.T) {
	var m misfits
	m.add("a", "a")
	m.add("a", "")
	if m.fits("a") != nil {
		t.Error("what fits, or is not known, is remembered")
	}
	for i := range 3 * maxMisfits {
		m.add("a", fmt.Sprint(i))
	}
	if len(m.met) != maxMisfits || m.fits("b") != nil || m.fits("a")(fmt.Sprint(3*maxMisfits-1)) || !m.fits("a")("0") {
		t.Errorf("%d are remembered", len(m.met))
	}
}

// TestAHostSpeaksForItsOwnInstanceAlone has one that says it has the interface of others, which Consul does not say of it, and
// refuses: that is not remembered of the others.
func TestAHostSpeaksForItsOwnInstanceAlone(t *testing.T) {
	c := newCaller(t)
	c.faces = facesOf(document(t, "text"))
	others := document(t, "message").Calls["tax"].Digest()
	c.runs(&far{face: others, run: func(context.Context) error {
		return countersign.Errorf(countersign.CodeInterfaceMismatch, "tax", "it does not fit")
	}})
	c.tax[0].Interface = ""
	c.endpoints()
	if err := c.call(t.Context(), `{}`); countersign.CodeOf(err) != countersign.CodeInterfaceMismatch {
		t.Error(err)
	}
	if c.misfits.fits(c.faces.built["tax"].digest) != nil {
		t.Error("what one host says keeps calls from all instances with that interface")
	}
}
