package interfaces

import (
	"strings"
	"testing"
)

func parse(t testing.TB, request, reply string) *Interface {
	t.Helper()
	i, err := ParseInterface([]byte(`{"function":"tax","reply":` + reply + `,"request":` + request + `}`))
	if err != nil {
		t.Fatalf("%s → %s: %v", request, reply, err)
	}
	return i
}

// object is the type of an object with fields such as "name", "name?" or "name: <type>", in order of name.
func object(fields ...string) string {
	var list []string
	for _, f := range fields {
		name, inner, typed := strings.Cut(f, ": ")
		if !typed {
			inner = text
		}
		optional := ""
		if n, ok := strings.CutSuffix(name, "?"); ok {
			name, optional = n, `"optional":true,`
		}
		list = append(list, `{"name":"`+name+`",`+optional+`"type":`+inner+`}`)
	}
	if list == nil {
		return `{"kind":"object"}`
	}
	return `{"kind":"object","fields":[` + strings.Join(list, ",") + `]}`
}

func nullable(inner string) string { return `{"nullable":true,` + inner[1:] }
func list(inner string) string     { return `{"kind":"array","items":` + inner + `}` }
func three(inner string) string    { return `{"kind":"array","length":3,"items":` + inner + `}` }
func mapOf(inner string) string    { return `{"kind":"map","values":` + inner + `}` }
func ref(up string) string         { return `{"kind":"ref","up":` + up + `}` }
func integer(format string) string { return `{"kind":"integer","format":"` + format + `"}` }
func textAs(format string) string  { return `{"kind":"string","format":"` + format + `"}` }

const (
	text   = `{"kind":"string"}`
	yes    = `{"kind":"boolean"}`
	opaque = `{"kind":"any"}`
	real   = `{"kind":"number","format":"float64"}`
)

// TestServes has the table of docs/interfaces.md: what a sender writes, what a receiver reads, and what is the matter in
// requests and in replies; "" is nothing.
func TestServes(t *testing.T) {
	for name, tc := range map[string]struct{ sender, receiver, request, reply string }{
		"the same":              {object("a", "b?"), object("a", "b?"), "", ""},
		"optional, added":       {object("a"), object("a", "b?"), "", ""},
		"required, added":       {object("a"), object("a", "b"), `without field "b"`, `field "b" string, but the callee has no such field`},
		"sent, not known":       {object("a", "b"), object("a"), "would be ignored", ""},
		"optional, not known":   {object("a", "b?"), object("a"), "would be ignored", ""},
		"renamed":               {object("a"), object("b"), "would be ignored", `"b" string, but the callee has no such field`},
		"optional, renamed":     {object("a?"), object("b?"), "would be ignored", `the callee calls "a"`},
		"moved":                 {object("a: "+object("x"), "b: "+object()), object("a: "+object(), "b: "+object("x?")), "would be ignored", `the callee calls "a.x"`},
		"another case":          {object("A"), object("a"), "would be ignored", "take it for a"},
		"added in another case": {object("NAME", "name"), object("name"), "would be ignored", "take it for name"},
		"a kelvin sign":         {object("k", "\u212a"), object("k"), "would be ignored", "take it for k"},
		"optional to required":  {object("a?"), object("a"), "", ""},
		"required to optional":  {object("a"), object("a?"), "", ""},

		"integer widened":         {integer("int32"), integer("int64"), "", ""},
		"integer narrowed":        {integer("int64"), integer("int32"), "int64", "int64"},
		"unsigned widened":        {integer("uint8"), integer("uint16"), "", ""},
		"unsigned to signed":      {integer("uint8"), integer("int64"), "uint8", "uint8"},
		"signed to unsigned":      {integer("int8"), integer("uint64"), "int8", "int8"},
		"integer to number":       {integer("int8"), real, "int8", "int8"},
		"number to integer":       {real, integer("int64"), "float64", "float64"},
		"float widened":           {`{"kind":"number","format":"float32"}`, real, "float32", "float32"},
		"float narrowed":          {real, `{"kind":"number","format":"float32"}`, "float32", "float32"},
		"number without a format": {`{"kind":"number"}`, real, "number", "number"},
		"quoted widened":          {textAs("quoted int32"), textAs("quoted int64"), "", ""},
		"quoted narrowed":         {textAs("quoted int64"), textAs("quoted int32"), "quoted", "quoted"},
		"quoted number":           {textAs("quoted float32"), textAs("quoted float64"), "quoted", "quoted"},
		"quoted to not":           {textAs("quoted int64"), integer("int64"), "quoted", "quoted"},
		"quoted to string":        {textAs("quoted int64"), text, "quoted", "quoted"},
		"string to number":        {text, real, "float64", "float64"},
		"string to bytes":         {text, textAs("base64"), "base64", "base64"},
		"bytes to string":         {textAs("base64"), text, "base64", "base64"},
		"time to string":          {textAs("date-time"), text, "date-time", "date-time"},
		"text to string":          {textAs("text"), text, "text", "text"},
		"boolean to string":       {yes, text, "boolean", "boolean"},

		"null permitted":               {text, nullable(text), "", ""},
		"null no more":                 {nullable(text), text, "null would be read", "null would be read"},
		"null no more, left out":       {object("a?: " + nullable(text)), object("a: " + text), "null would be read", "null would be read"},
		"null permitted, left out":     {object("a?: " + text), object("a?: " + nullable(text)), "left out", "left out"},
		"null permitted for lists":     {list(text), nullable(list(text)), "empty one", "empty one"},
		"null permitted for maps":      {mapOf(text), nullable(mapOf(text)), "empty one", "empty one"},
		"null permitted for bytes":     {textAs("base64"), nullable(textAs("base64")), "empty one", "empty one"},
		"null permitted for objects":   {object(), nullable(object()), "", ""},
		"null permitted, fixed length": {three(text), nullable(three(text)), "", ""},

		"null permitted in what is left out": {object("a?: " + object("x")), object("a?: " + object("x: "+nullable(text))), "left out", "left out"},
		"null permitted in null, left out":   {object("a?: " + nullable(object("x"))), object("a?: " + nullable(object("x: "+nullable(text)))), "", ""},
		"null permitted in a list":           {object("a?: " + list(object("x"))), object("a?: " + list(object("x: "+nullable(text)))), "", ""},
		"null permitted in three":            {object("a?: " + three(object("x"))), object("a?: " + three(object("x: "+nullable(text)))), "left out", "left out"},
		"fixed length, left out":             {object("a?: " + three(text)), object("a?: " + list(text)), "read as an empty one", "read as an empty one"},

		"any":             {opaque, opaque, "", ""},
		"any, null":       {nullable(opaque), opaque, "", ""},
		"any from string": {text, opaque, "any", "any"},
		"any to string":   {opaque, text, "any", "any"},

		"list widened":        {list(integer("int8")), list(integer("int16")), "", ""},
		"list of others":      {list(text), list(yes), `"[]"`, `"[]"`},
		"fixed length to any": {three(text), list(text), "", ""},
		"any length to fixed": {list(text), three(text), "lost or made up", "lost or made up"},
		"another length":      {three(text), strings.Replace(three(text), "3", "2", 1), "lost or made up", "lost or made up"},
		"map widened":         {mapOf(integer("int8")), mapOf(integer("int16")), "", ""},
		"map of others":       {mapOf(text), mapOf(yes), `"{}"`, `"{}"`},
		"map to object":       {mapOf(text), object("a?"), "map of string", "map of string"},
		"object to map":       {object("a"), mapOf(text), "map of string", "map of string"},
		"map keys":            {mapOf(text), `{"keys":"int64",` + mapOf(text)[1:], "from int64", "from int64"},
		"map keys widened":    {`{"keys":"int32",` + mapOf(text)[1:], `{"keys":"int64",` + mapOf(text)[1:], "", ""},

		"recursive":              {object("next?: " + nullable(ref("2"))), object("next?: " + nullable(ref("2"))), "", ""},
		"recursive, unrolled":    {object("next?: " + nullable(ref("2"))), object("next?: " + nullable(object("next?: "+nullable(ref("2"))))), "", ""},
		"recursive, added deep":  {object("next?: " + nullable(ref("2"))), object("next?: " + nullable(object("next?: "+nullable(ref("2")), "x?"))), "", ""},
		"recursive, lacks deep":  {object("next?: " + nullable(ref("2"))), object("next?: " + nullable(object("next?: "+nullable(ref("2")), "x"))), `without field "next.x"`, `"next.x"`},
		"recursive lists":        {list(ref("1")), list(list(ref("2"))), "", ""},
		"recursive, and not":     {list(ref("1")), list(list(text)), `"[][]"`, `"[][]"`},
		"recursive through null": {nullable(object("next: " + ref("2"))), nullable(object("next: " + nullable(ref("2")))), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(side Side, callee, builtWith *Interface, want string) {
				differences := callee.Serves(builtWith)
				if want == "" && len(differences) == 0 {
					return
				}
				var all string
				for _, d := range differences {
					if all += d.String() + "\n"; d.Side != side || d.Function != "tax" {
						t.Errorf("%s: it is about the other side: %+v", side, d)
					}
				}
				if want == "" || !strings.Contains(all, want) {
					t.Errorf("%s: %q, want %q", side, all, want)
				}
			}
			check(Request, parse(t, tc.receiver, text), parse(t, tc.sender, text), tc.request)
			check(Reply, parse(t, text, tc.sender), parse(t, text, tc.receiver), tc.reply)
		})
	}
}

func TestDifferenceTells(t *testing.T) {
	tell := func(callee, builtWith *Interface) string {
		d := callee.Serves(builtWith)
		if len(d) == 0 {
			t.Fatal("no difference")
		}
		return d[0].Tell("quote@3f2a91c", "tax", "tax@99aa00b")
	}
	for _, tc := range []struct{ got, want string }{
		{tell(parse(t, text, object("rate")), parse(t, text, object("rate: "+integer("int64")))),
			`quote@3f2a91c was built with tax's reply field "rate" integer int64, but tax@99aa00b has string`},
		{tell(parse(t, object("a", "b"), text), parse(t, object("a"), text)),
			`quote@3f2a91c was built with tax's request without field "b", but tax@99aa00b has it: string (it is not optional, and would be read as the zero value)`},
		{tell(parse(t, object("a"), text), parse(t, object("a", "b?"), text)),
			`quote@3f2a91c was built with tax's request field "b" optional string, but tax@99aa00b has no such field (what the caller sends there would be ignored)`},
		{tell(parse(t, list(yes), text), parse(t, mapOf(text), text)),
			`quote@3f2a91c was built with tax's request map of string, but tax@99aa00b has array of boolean`},
		{tell(parse(t, list(object("a b")), text), parse(t, list(object("a b: "+yes)), text)),
			`quote@3f2a91c was built with tax's request field "[].\"a b\"" boolean, but tax@99aa00b has string`},
	} {
		if tc.got != tc.want {
			t.Errorf("got  %s\nwant %s", tc.got, tc.want)
		}
	}
	other := parse(t, text, text)
	other.Function = "fx"
	if len(parse(t, text, text).Serves(other)) == 0 {
		t.Error("tax serves what was built with fx")
	}
}
