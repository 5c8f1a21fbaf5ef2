package sf

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Examples of RFC 9651 sections 3 and 4, and what is strict here. want "" means refused.
func TestDict(t *testing.T) {
	tests := map[string]string{
		`en="Applepie", da=:w4ZibGV0w6ZydGU=:`:   `en="Applepie", da=:w4ZibGV0w6ZydGU=:`,
		`a=?0, b, c; foo=bar`:                    `a=?0, b, c;foo=bar`,
		`rating=1.5, feelings=(joy sadness)`:     `rating=1.5, feelings=(joy sadness)`,
		`a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid`: `a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid`,
		"  a=1  ,\t b=2  ":                       `a=1, b=2`,
		`a=?1;x=?1;y=?0`:                         `a;x;y=?0`,
		`a=( "b"   c;d )`:                        `a=("b" c;d)`,
		`a=()`:                                   `a=()`,
		`*a_-.*9=-0`:                             `*a_-.*9=0`,
		`a=007`:                                  `a=7`,
		`a=-12.340, b=0.001, c=1.0`:              `a=-12.34, b=0.001, c=1.0`,
		`a="\"\\"`:                               `a="\"\\"`,
		`a=*tok/en:x!#$%&'+-.^_` + "`|~":         `a=*tok/en:x!#$%&'+-.^_` + "`|~",
		`a=@1659578233, b=@-1`:                   `a=@1659578233, b=@-1`,
		`a=%"This is intended for display to %c3%bcsers."`: `a=%"This is intended for display to %c3%bcsers."`,
		`a=999999999999999, b=-999999999999999`:            `a=999999999999999, b=-999999999999999`,
		`a=999999999999.999`:                               `a=999999999999.999`,
		`a=::`:                                             `a=::`,

		`a=1, a=2`: "", `a;b;b`: "", `a=1,`: "", `a=1 b=2`: "", `,a`: "", `A=1`: "", `1=1`: "", `a=`: "", `a =1`: "",
		`a=(1`: "", `a=(1,2)`: "", `a=(1"x")`: "", `a=((1))`: "", `a="x`: "", `a="\x"`: "", `a="` + "\x7f" + `"`: "",
		`a="é"`: "", `a=:AAA:`: "", `a=:AAB=:`: "", `a=:AAAA`: "", `a=:AA A:`: "", `a=:A-_A:`: "", `a=?2`: "", `a=?`: "",
		`a=1000000000000000`: "", `a=1.`: "", `a=1.2345`: "", `a=1234567890123.1`: "", `a=-`: "", `a=--1`: "", `a=.5`: "",
		`a=@1.5`: "", `a=@`: "", `a=@"x"`: "", `a=%"%c3"`: "", `a=%"%C3%BC"`: "", `a=%"%`: "", `a=%x`: "", `a=%"x`: "",
		`a;`: "", `a;B`: "", `a=b;c=`: "", "a=\n": "", `a=1;b=(1)`: "", "a=:AA\nAA:": "", `a="` + "\t" + `"`: "",
		strings.Repeat("k", maxKey+1): "", strings.Repeat(" ", maxInput+1): "",
	}
	for in, want := range tests {
		d, err := ParseDict(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q was read as %q", in, AppendDict(nil, d))
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := string(AppendDict(nil, d)); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, s := range []string{"", "  "} {
		if d, err := ParseDict(s); err != nil || len(d) != 0 {
			t.Errorf("dictionary %q: %v, %v", s, d, err)
		}
		if l, err := ParseList(s); err != nil || len(l) != 0 {
			t.Errorf("list %q: %v, %v", s, l, err)
		}
		if _, err := ParseItem(s); err == nil {
			t.Errorf("item %q was read", s)
		}
	}
}

func TestList(t *testing.T) {
	for in, want := range map[string]string{
		`sugar, tea, rum`: `sugar, tea, rum`, `("foo" "bar"), ("baz"), ("bat" "one"), ()`: `("foo" "bar"), ("baz"), ("bat" "one"), ()`,
		`("foo"; a=1;b=2);lvl=5, ("bar" "baz");lvl=1`: `("foo";a=1;b=2);lvl=5, ("bar" "baz");lvl=1`,
		`1,1`: `1, 1`, `1,`: "", `1 2`: "", `(`: "", `a=1`: "",
	} {
		l, err := ParseList(in)
		if (err != nil) != (want == "") || err == nil && string(AppendList(nil, l)) != want {
			t.Errorf("%q is written %q, error %v; want %q", in, AppendList(nil, l), err, want)
		}
	}
}

func TestItem(t *testing.T) {
	for in, want := range map[string]string{
		` 5 `: `5`, `5; foo=bar`: `5;foo=bar`, `text/html;charset=utf-8`: `text/html;charset=utf-8`,
		`"a";b;c="d"`: `"a";b;c="d"`, `(1)`: "", `5 6`: "", `5,`: "", "5\t": "",
	} {
		it, err := ParseItem(in)
		if (err != nil) != (want == "") || err == nil && string(AppendItem(nil, it)) != want {
			t.Errorf("%q: %+v, error %v; want %q", in, it, err, want)
		}
	}
}

func TestTooMuch(t *testing.T) {
	var members, inner, params []string
	for i := range maxMembers + 1 {
		name := "k" + strings.Repeat("x", i%100) + string(rune('a'+i/100))
		members, inner, params = append(members, name), append(inner, "1"), append(params, ";"+name)
	}
	for _, in := range []string{
		strings.Join(members, ","), "a=(" + strings.Join(inner, " ") + ")", "a" + strings.Join(params, ""),
	} {
		if _, err := ParseDict(in); err == nil {
			t.Errorf("%.40q… was read", in)
		}
	}
	if _, err := ParseList(strings.Join(inner, ",")); err == nil {
		t.Error("too long a list was read")
	}
}

// TestAsMuchAsTheRFCAsksFor has the sizes that RFC 9651 wants every parser to read.
func TestAsMuchAsTheRFCAsksFor(t *testing.T) {
	members, inner, params := make([]string, 1024), make([]string, 256), make([]string, 256)
	for i := range members {
		members[i] = fmt.Sprintf("key-%d=%d", i, i)
	}
	for i := range inner {
		inner[i], params[i] = strconv.Itoa(i), fmt.Sprintf(";p%d", i)
	}
	for name, in := range map[string]string{
		"dictionary":                strings.Join(members, ", "),
		"inner list and parameters": "a=(" + strings.Join(inner, " ") + ")" + strings.Join(params, ""),
		"key":                       strings.Repeat("k", 64) + ";" + strings.Repeat("p", 64),
		"string":                    `a="` + strings.Repeat("x", 1024) + `"`,
		"token":                     "a=" + strings.Repeat("t", 512),
		"byte sequence":             "a=:" + base64.StdEncoding.EncodeToString(make([]byte, 16384)) + ":",
	} {
		d, err := ParseDict(in)
		if err != nil || string(AppendDict(nil, d)) != in {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l, err := ParseList(strings.Repeat("1, ", 1023) + "1"); err != nil || len(l) != 1024 {
		t.Errorf("list: %v", err)
	}
	for _, at := range []int{1, manyMembers - 1, manyMembers, manyMembers + 1, 1023} {
		twice := append(slices.Clone(members[:at]), members[0])
		if _, err := ParseDict(strings.Join(twice, ", ")); err == nil {
			t.Errorf("a key that is there again after %d members was read", at)
		}
		twice = append(slices.Clone(members[:at]), members[at-1])
		if _, err := ParseDict(strings.Join(twice, ", ")); err == nil {
			t.Errorf("a key that is there again at once after %d members was read", at)
		}
	}
}

func TestErrorsHoldNoContent(t *testing.T) {
	for _, in := range []string{`a="secret`, `secret=(`, `a=:secret:`, `a=1 secret`} {
		if _, err := ParseDict(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("error of %q: %v", in, err)
		}
	}
}

// FuzzDict: what is read, is written so that it reads the same.
func FuzzDict(f *testing.F) {
	for _, s := range []string{
		`call=("@method" "content-digest";req);created=1;keyid="k", b=:AA==:`, `a=1.50, b;c=?0, d=%"%c3%bc", e=@1, f=tok;g`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDict(s)
		if err != nil {
			return
		}
		once := string(AppendDict(nil, d))
		again, err := ParseDict(once)
		if err != nil {
			t.Fatalf("%q is written %q, which does not read: %v", s, once, err)
		}
		if twice := string(AppendDict(nil, again)); twice != once {
			t.Fatalf("%q is written %q, then %q", s, once, twice)
		}
		if it, err := ParseItem(s); err == nil {
			_ = AppendItem(nil, it)
		}
		if l, err := ParseList(s); err == nil {
			_ = AppendList(nil, l)
		}
	})
}
