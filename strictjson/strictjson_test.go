package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type embedded struct {
	Version int `json:"version"`
}

type document struct {
	embedded
	Sub     string            `json:"sub"`
	Aud     []string          `json:"aud,omitempty"`
	Inner   struct{ Key int } `json:"inner"`
	More    []document        `json:"more,omitempty"`
	ByName  map[string]inner  `json:"by_name,omitempty"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	At      time.Time         `json:"at"`
	Pointer *inner            `json:"pointer,omitempty"`
	Pair    [2]int            `json:"pair"`
	Numbers map[int]string    `json:"numbers,omitempty"`
	Hidden  string            `json:"-"`
}

type inner struct {
	Kid string `json:"kid"`
}

const good = `{"version":1,"sub":"alice","aud":["a"],"inner":{"Key":2},"more":[{"sub":"bob"}],"by_name":{"a":{"kid":"x"},` +
	`"A":{"kid":"y"}},"raw":{"a":1,"A":2},"at":"2026-01-02T03:04:05Z","pointer":{"kid":"z"},"pair":[1,2],"numbers":{"1":"a","-20":"b"}}`

func TestDecode(t *testing.T) {
	for name, read := range map[string]func([]byte, any) error{"closed": Decode, "open": DecodeOpen} {
		var d document
		if err := read([]byte(good), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.Sub != "alice" || d.Version != 1 || d.Inner.Key != 2 || d.More[0].Sub != "bob" || d.ByName["A"].Kid != "y" ||
			string(d.Raw) != `{"a":1,"A":2}` || d.At.Year() != 2026 || d.Pointer.Kid != "z" || d.Pair != [2]int{1, 2} {
			t.Errorf("%s: read %+v", name, d)
		}
	}
	var d document
	if err := DecodeOpen([]byte(`{"sub":"a","role":"b","Role":["c"]}`), &d); err != nil || d.Sub != "a" {
		t.Errorf("foreign members: %v", err)
	}
	if err := Decode([]byte(`{"sub":"a","role":"b"}`), &d); err == nil {
		t.Error("a foreign member was accepted")
	}
	if err := Decode([]byte(`{"Hidden":"a"}`), &d); err == nil {
		t.Error("a field that is no member was accepted")
	}
}

// TestShape refuses unknown members by itself, wherever they are.
func TestShape(t *testing.T) {
	for _, value := range []Object{{"x": "y"}, {"inner": Object{"x": nil}}, {"more": []any{Object{"x": nil}}}, {"by_name": Object{"a": Object{"x": nil}}},
		{"pointer": Object{"x": nil}}} {
		if err := (shape{}).check(value, reflect.TypeFor[document]()); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%v: %v", value, err)
		}
		if err := (shape{open: true}).check(value, reflect.TypeFor[document]()); err != nil {
			t.Errorf("%v in an open document: %v", value, err)
		}
	}
}

// TestOneReading has documents that two readers can understand differently.
func TestOneReading(t *testing.T) {
	for name, src := range map[string]string{
		"a name twice":                  `{"sub":"alice","sub":"admin"}`,
		"a name twice, escaped":         `{"sub":"alice","su\u0062":"admin"}`,
		"another case":                  `{"sub":"alice","SUB":"admin"}`,
		"another case alone":            `{"Sub":"admin"}`,
		"long s":                        `{"ſub":"admin"}`,
		"long s, escaped":               `{"\u017fub":"admin"}`,
		"kelvin sign":                   `{"pointer":{"\u212aid":"x"}}`,
		"twice in an embedded":          `{"version":1,"Version":2}`,
		"twice, deeper":                 `{"inner":{"Key":1,"Key":2}}`,
		"case, deeper":                  `{"inner":{"key":1}}`,
		"case, in a list":               `{"more":[{},{"SUB":"x"}]}`,
		"case, in a map":                `{"by_name":{"a":{"KID":"x"}}}`,
		"twice, in a map":               `{"by_name":{"a":{"kid":"x"},"a":{"kid":"y"}}}`,
		"a number twice":                `{"numbers":{"1":"a","01":"b"}}`,
		"another minus":                 `{"numbers":{"-0":"a"}}`,
		"twice, in what is kept raw":    `{"raw":{"a":{"b":1,"b":2}}}`,
		"twice, in a foreign member":    `{"x":[{"b":1,"b":2}]}`,
		"null for a text":               `{"sub":null}`,
		"null for an object":            `{"inner":null}`,
		"null in a list":                `{"aud":[null]}`,
		"too many elements":             `{"pair":[1,2,3]}`,
		"too few elements":              `{"pair":[1]}`,
		"a list for an object":          `{"inner":[]}`,
		"something after it":            `{"sub":"alice"}{"sub":"admin"}`,
		"text after it":                 `{"sub":"alice"} x`,
		"nothing":                       ``,
		"null":                          `null`,
		"a byte order mark":             "\xef\xbb\xbf" + `{"sub":"alice"}`,
		"no UTF-8":                      "{\"sub\":\"\xff\"}",
		"half a pair":                   `{"sub":"\ud800"}`,
		"half a pair and text":          `{"sub":"\ud800\u0041"}`,
		"the other half":                `{"sub":"\udc00"}`,
		"halves of names":               `{"x\ud800":1,"x\ud801":2}`,
		"half a pair after a backslash": `{"sub":"\\\ud800"}`,
		"deep":                          `{"x":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`,
	} {
		for how, read := range map[string]func([]byte, any) error{"closed": Decode, "open": DecodeOpen} {
			var d document
			if err := read([]byte(src), &d); err == nil {
				t.Errorf("%s, %s: read as %+v", name, how, d)
			}
		}
	}
	for _, fine := range []string{`{"sub":"\ud83d\ude00"}`, `{"sub":"\\ud800"}`, `{"sub":"\u0000"}`, `{"more":null}`} {
		if err := Decode([]byte(fine), &document{}); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
}

// FuzzParse checks that what is accepted is read as encoding/json reads it, and that nothing panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`[1e400,-0,"\u0041\ud83d\ude00",{"a":{"a":null}}]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		_, err := Parse(src, MaxDepth)
		if err == nil && !json.Valid(src) {
			t.Error("accepted what is not JSON")
		}
		var d document
		if DecodeOpen(src, &d) == nil && err != nil {
			t.Error("decoded what does not parse")
		}
	})
}
