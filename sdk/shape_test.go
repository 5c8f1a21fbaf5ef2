package sdk

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

type tree struct {
	Name  string           `json:"name"`
	Left  *tree            `json:"left,omitempty"`
	Kids  []tree           `json:"kids"`
	Named map[string]*tree `json:"named"`
}

type base struct {
	ID   int `json:"id"`
	Same string
}

type other struct{ Same string }

type embedding struct {
	base
	*other
	ID      string `json:"id"` // hides that of base
	Skipped int    `json:"-"`
	//lint:ignore SA5008 a tag of "-," names the member "-", and that is tested here
	Dash    int `json:"-,"`
	private int
	Quoted  int64 `json:"quoted,string"`
}

type quotes struct {
	B bool `json:",string"`
	I *int `json:",string"`
	//lint:ignore SA5008 encoding/json passes over the option, and that is tested here
	L []bool      `json:",string"`
	N json.Number `json:",string"`
	//lint:ignore SA5008 encoding/json quotes it
	P **int  `json:",string"`
	S string `json:",string"`
}

type Other struct{ Same string }

type twice struct{ Next **twice }

type itself *itself

func TestShapes(t *testing.T) {
	tests := []struct {
		value any
		want  string
	}{
		{true, `{"kind":"boolean"}`},
		{int(1), `{"format":"int64","kind":"integer"}`},
		{uint8(1), `{"format":"uint8","kind":"integer"}`},
		{float32(1), `{"format":"float32","kind":"number"}`},
		{"", `{"kind":"string"}`},
		{[]byte{}, `{"format":"base64","kind":"string"}`},
		{[3]string{}, `{"items":{"kind":"string"},"kind":"array","length":3}`},
		{[0]string{}, `{"items":{"kind":"string"},"kind":"array","length":0}`},
		{map[string]bool{}, `{"kind":"map","values":{"kind":"boolean"}}`},
		{map[int]bool{}, `{"keys":"int64","kind":"map","values":{"kind":"boolean"}}`},
		{map[netip.Addr]bool{}, `{"keys":"text","kind":"map","values":{"kind":"boolean"}}`},
		{new(int), `{"format":"int64","kind":"integer","nullable":true}`},
		{time.Time{}, `{"format":"date-time","kind":"string"}`},
		{netip.Addr{}, `{"format":"text","kind":"string"}`},
		{json.RawMessage{}, `{"kind":"any"}`},
		{json.Number(""), `{"kind":"number"}`},
		{struct{ A any }{}, `{"fields":[{"name":"A","type":{"kind":"any"}}],"kind":"object"}`},
		{struct{}{}, `{"kind":"object"}`},
		{tree{}, `{"fields":[` +
			`{"name":"kids","type":{"items":{"kind":"ref","up":2},"kind":"array"}},` +
			`{"name":"left","optional":true,"type":{"kind":"ref","nullable":true,"up":2}},` +
			`{"name":"name","type":{"kind":"string"}},` +
			`{"name":"named","type":{"kind":"map","values":{"kind":"ref","nullable":true,"up":3}}}],"kind":"object"}`},
		{embedding{}, `{"fields":[` +
			`{"name":"-","type":{"format":"int64","kind":"integer"}},` +
			`{"name":"id","type":{"kind":"string"}},` +
			`{"name":"quoted","type":{"format":"quoted int64","kind":"string"}}],"kind":"object"}`},
		{quotes{}, `{"fields":[` +
			`{"name":"B","type":{"format":"quoted boolean","kind":"string"}},` +
			`{"name":"I","type":{"format":"quoted int64","kind":"string","nullable":true}},` +
			`{"name":"L","type":{"items":{"kind":"boolean"},"kind":"array"}},` +
			`{"name":"N","type":{"format":"quoted number","kind":"string"}},` +
			`{"name":"P","type":{"format":"int64","kind":"integer","nullable":true}},` +
			`{"name":"S","type":{"format":"quoted string","kind":"string"}}],"kind":"object"}`},
		{struct{ *Other }{}, `{"fields":[{"name":"Same","optional":true,"type":{"kind":"string"}}],"kind":"object"}`},
		{twice{}, `{"fields":[{"name":"Next","type":{"kind":"ref","nullable":true,"up":2}}],"kind":"object"}`},
	}
	_ = embedding{private: 1}.private
	for _, tt := range tests {
		shape, err := shapeOf(reflect.TypeOf(tt.value))
		if err != nil {
			t.Errorf("%T: %v", tt.value, err)
			continue
		}
		if got, err := canonical(shape); err != nil || string(got) != tt.want {
			t.Errorf("%T:\n got %s, %v\nwant %s", tt.value, got, err, tt.want)
		}
	}
}

func TestShapesThatJSONCannotCarry(t *testing.T) {
	for _, value := range []any{make(chan int), func() {}, complex(1, 2), map[struct{}]int{}, struct{ F []func() }{}, new(itself)} {
		if shape, err := shapeOf(reflect.TypeOf(value)); err == nil {
			t.Errorf("%T has the shape %+v", value, shape)
		}
	}
}

// TestShapesAgreeWithEncoding compares the fields with what encoding/json writes.
func TestShapesAgreeWithEncoding(t *testing.T) {
	for _, value := range []any{embedding{other: &other{}}, tree{Left: &tree{}}, base{}} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var written map[string]json.RawMessage
		if err := json.Unmarshal(text, &written); err != nil {
			t.Fatal(err)
		}
		fields := visibleFields(reflect.TypeOf(value))
		for _, f := range fields {
			if _, ok := written[f.name]; !ok {
				t.Errorf("%T: encoding/json writes no field %q in %s", value, f.name, text)
			}
		}
		if len(fields) != len(written) {
			t.Errorf("%T: %d fields, and encoding/json writes %s", value, len(fields), text)
		}
	}
}
