package ingress

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/interfaces"
	"countersign/vaultsign/callsig"
)

// TestClientsMaySayWhatTheyWereBuiltWith has instances of two interfaces, and clients that name one of them, neither, or none.
func TestClientsMaySayWhatTheyWereBuiltWith(t *testing.T) {
	f := newFixture(t)
	digests := map[string]string{"neither": "sha256:" + strings.Repeat("0", 64), "none": ""}
	for _, field := range []string{"text", "message"} {
		d, err := interfaces.Parse(fmt.Appendf(nil, `{"calls":{},"function":"quote","reply":{"kind":"object","fields":[{"name":%q,`+
			`"type":{"kind":"string"}}]},"request":{"kind":"any"}}`, field))
		must(t, err)
		digests[field] = d.Digest()
		f.run("quote", open, func(m *made) {
			m.allocation, m.face = field, d
			m.runtime = goFunction(func(context.Context, *countersign.Invocation) ([]byte, error) { return []byte(`"` + field + `"`), nil })
		})
	}
	n := serving(t, f, nil)
	c := n.speaking(t, "1", "", nil)
	callee, id := functionID(t, "quote"), clientID(t)
	call := func(built string) (*http.Request, *callsig.SignedCall) {
		r, err := http.NewRequest(http.MethodPost, "http://"+n.address+callsig.Path(callee), nil)
		must(t, err)
		sent, err := callsig.SignRequest(r, callsig.NewSigner(n.ca.Identity(t, id)), callsig.Call{Caller: id, Callee: callee,
			Authority: callsig.AuthorityOf(r), Deadline: time.Now().Add(5 * time.Second), ID: "1", Interface: built, Body: []byte("{}")}, time.Now())
		must(t, err)
		return r, sent
	}
	for range 10 {
		for _, field := range []string{"text", "message"} {
			r, sent := call(digests[field])
			n.mustVerify(t, do(t, c, r), r, sent, `"`+field+`"`)
		}
		r, _ := call(digests["none"])
		if got := do(t, c, r); got.StatusCode != http.StatusOK {
			t.Errorf("a client that says nothing: %d", got.StatusCode)
		}
		r, _ = call(digests["neither"])
		if p := do(t, c, r).problem(t); p.Code != countersign.CodeInterfaceMismatch || p.Status != http.StatusConflict {
			t.Errorf("a client of neither: %+v", p)
		}
	}
	r, _ := call(digests["text"])
	r.Header.Set(callsig.HeaderInterface, `"`+digests["message"]+`"`) // on the way
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified {
		t.Errorf("changed on the way: %+v", p)
	}
	r, _ = call(digests["text"])
	r.Header.Del(callsig.HeaderInterface)
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified {
		t.Errorf("taken out on the way: %+v", p)
	}
}
