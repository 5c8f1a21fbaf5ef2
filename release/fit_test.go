package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"countersign/interfaces"
)

// shelf has the interface documents of functions, by commit.
type shelf map[string]*interfaces.Document

// add puts the document of a function that calls tax, or of tax itself, there. It returns the function.
func (s shelf) add(t *testing.T, name, commit, taxReply string) Function {
	t.Helper()
	const types = `"reply":{"kind":"object","fields":[%s]},"request":{"kind":"string"}}`
	tax := fmt.Sprintf(types, taxReply)
	src := `{"calls":{"tax":{` + tax + `},"function":"` + name + `",` + fmt.Sprintf(types, "")
	if name == "tax" {
		src = `{"calls":{},"function":"tax",` + tax
	}
	doc, err := interfaces.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	f := Function{InterfaceDigest: doc.Digest(), Commit: commit}
	if s[commit] = doc; name != "tax" {
		f.Calls = map[string]string{"tax": doc.Calls["tax"].Digest()}
	}
	return f
}

func (s shelf) read(_ string, f Function) (*interfaces.Document, error) {
	if doc := s[f.Commit]; doc != nil {
		return doc, nil
	}
	return nil, errNotThere
}

var errNotThere = errors.New("not there")

const (
	rate      = `{"name":"rate","type":{"format":"int64","kind":"integer"}}`
	rateText  = `{"name":"rate","type":{"kind":"string"}}`
	andRegion = `,{"name":"region","optional":true,"type":{"kind":"string"}}`
)

func TestFit(t *testing.T) {
	type set map[string]Function
	shelf := shelf{}
	quote := shelf.add(t, "quote", "3f2a91c000", rate)
	tax1 := shelf.add(t, "tax", "1100000000", rate)
	tax2 := shelf.add(t, "tax", "99aa00b000", rateText)
	taxMore := shelf.add(t, "tax", "2200000000", rate+andRegion)
	quote2 := shelf.add(t, "quote", "4400000000", rateText)
	unread := tax2
	unread.Commit = "7700000000"
	lying := taxMore
	lying.InterfaceDigest = "sha256:" + strings.Repeat("0", 64)
	lyingCaller := quote
	lyingCaller.Calls = map[string]string{"tax": lying.InterfaceDigest}
	for _, tc := range []struct {
		name            string
		deploy, running set
		want            string // the message, without its first and last line; "" if all fit
	}{
		{"both fit", set{"quote": quote, "tax": tax1}, nil, ""},
		{"the callee changed", set{"quote": quote, "tax": tax2}, nil,
			`quote@3f2a91c was built with tax's reply field "rate" integer int64, but tax@99aa00b has string`},
		{"the callee changed, and serves all the same", set{"quote": quote, "tax": taxMore}, nil, ""},
		{"the callee runs already and fits", set{"quote": quote}, set{"tax": tax1}, ""},
		{"the callee runs already and serves", set{"quote": quote}, set{"tax": taxMore}, ""},
		{"the callee runs already and does not fit", set{"quote": quote}, set{"tax": tax2},
			`quote@3f2a91c was built with tax's reply field "rate" integer int64, but tax@99aa00b (running, not part of this deploy) has string`},
		{"the callee is nowhere", set{"quote": quote}, nil, `quote@3f2a91c calls tax, which neither runs nor is part of this deploy: deploy both`},
		{"a running caller would break", set{"tax": tax2}, set{"quote": quote, "tax": tax1},
			`quote@3f2a91c (running, not part of this deploy) was built with tax's reply field "rate" integer int64, but tax@99aa00b has string`},
		{"a running caller is served", set{"tax": taxMore}, set{"quote": quote, "tax": tax1}, ""},
		{"a running caller that is replaced counts as replaced", set{"tax": tax2, "quote": quote2}, set{"quote": quote, "tax": tax1}, ""},
		{"what was broken before is no business of this deploy", set{"fx": {InterfaceDigest: "sha256:f"}}, set{"quote": quote, "tax": tax2}, ""},
		{"what can't be read and is the same", set{"tax": tax1}, set{"quote": {Commit: "8800000000", Calls: quote.Calls}}, ""},
		{"a caller that can't be read", set{"tax": taxMore}, set{"quote": {Commit: "8800000000", Calls: quote.Calls}},
			"the two can't be compared: reading the interface document of quote@8800000: not there"},
		{"a callee that can't be read", set{"quote": quote}, set{"tax": unread},
			"the two can't be compared: reading the interface document of tax@7700000: not there"},
		{"a callee that is said to have another", set{"quote": quote, "tax": lying}, nil, "the artifact of tax@2200000 has another interface than is said of it"},
		{"a caller that is said to have another", set{"quote": lyingCaller, "tax": taxMore}, nil, "the artifact of quote@3f2a91c was built with another interface of tax than is said of it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Fit(tc.deploy, tc.running, nil, shelf.read)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var misfit *MisfitError
			if !errors.As(err, &misfit) || len(misfit.Misfits) != 1 {
				t.Fatalf("the error is %T: %v", err, err)
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 || !strings.HasSuffix(lines[1], tc.want) {
				t.Errorf("the message is\n%v\nwant %s", err, tc.want)
			}
			if strings.HasSuffix(tc.want, "not there") != errors.Is(err, errNotThere) {
				t.Error("the cause is not in the error")
			}
			m := misfit.Misfits[0]
			if m.Caller.Name != "quote" || m.Callee.Name != "tax" || m.BuiltWith == m.Meets {
				t.Errorf("misfit %+v", m)
			}
		})
	}
}

// TestFitAsksForNothing has digests that are all the same: no document is needed.
func TestFitAsksForNothing(t *testing.T) {
	s := shelf{}
	quote, tax := s.add(t, "quote", "1", rate), s.add(t, "tax", "2", rate)
	if err := Fit(map[string]Function{"quote": quote, "tax": tax}, map[string]Function{"quote": quote, "tax": tax}, nil, nil); err != nil {
		t.Error(err)
	}
}

// TestMisfitTellsAll has several differences of one pair.
func TestMisfitTellsAll(t *testing.T) {
	s := shelf{}
	quote, tax := s.add(t, "quote", "1", rate+andRegion), s.add(t, "tax", "2", `{"name":"other","type":{"kind":"any"}},`+rateText)
	m := Meet("quote", quote, "tax", tax, s.read)
	if m == nil {
		t.Fatal("they fit")
	}
	var paths []string
	for _, d := range m.Differences {
		paths = append(paths, d.Path)
	}
	if !slices.Equal(paths, []string{"rate", "region"}) || strings.Count(m.String(), "\n") != 1 || m.Unknown != nil {
		t.Errorf("%q: %v", paths, m)
	}
}

// TestLargeInterface: hosts do not show interfaces of more than 64 KiB, so a caller with one can call only exactly that.
func TestLargeInterface(t *testing.T) {
	doc := func(function, calls string, fields int) *interfaces.Document {
		var b strings.Builder
		for i := range fields {
			fmt.Fprintf(&b, `{"name":"f%05d","optional":true,"type":{"kind":"string"}},`, i)
		}
		reply := `"reply":{"kind":"object","fields":[` + strings.TrimSuffix(b.String(), ",") + `]},"request":{"kind":"any"}`
		src := `{"calls":{},"function":"` + function + `",` + reply + `}`
		if calls != "" {
			src = `{"calls":{"` + calls + `":{` + reply + `}},"function":"` + function + `","reply":{"kind":"any"},"request":{"kind":"any"}}`
		}
		d, err := interfaces.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	caller, callee := doc("quote", "tax", 2000), doc("tax", "", 2001)
	docs := func(name string, _ Function) (*interfaces.Document, error) {
		return map[string]*interfaces.Document{"quote": caller, "tax": callee}[name], nil
	}
	m := Meet("quote", Function{Calls: map[string]string{"tax": caller.Calls["tax"].Digest()}}, "tax", Function{InterfaceDigest: callee.Digest()}, docs)
	if m == nil || m.Unknown == nil || !strings.Contains(m.String(), "too large") {
		t.Errorf("an interface of %d bytes: %v", len(caller.Calls["tax"].Encode()), m)
	}
}
