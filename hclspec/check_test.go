package hclspec

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// Files of the cases are parsed as a.hcl, b.hcl and so on; ends hold the diagnostics of Check alone.
func TestCheck(t *testing.T) {
	storage := "function \"quote\" {\nio {\nstorage \"receipts\" {}\nnetwork \"rates\" {}\n}\n}"
	for _, tc := range []struct {
		name      string
		specs     []string
		bind      string // "-": no environment
		elsewhere []string
		want      []string
	}{
		{name: "nothing"},
		{name: "callee in another file", specs: []string{"function \"a\" {\ncalls = [\"b\"]\n}", "function \"b\" {}"}},
		{
			name:  "unknown callee",
			specs: []string{"function \"quote\" {\ncalls = [\"tux\", \"tax\"]\n}", "function \"tax\" {}"},
			want:  []string{`2:10 Unknown function "tux" / Did you mean "tax"?`},
		},
		{
			name: "callee elsewhere", specs: []string{"function \"quote\" {\ncalls = [\"tax\"]\n}"}, elsewhere: []string{"tax"},
		},
		{
			name: "callee of another team", specs: []string{"function \"quote\" {\ncalls = [\"tax\"]\n}"}, bind: "-",
			want: []string{`2:10 Function "tax" is not here / If another repository provides it`},
		},
		{
			name: "same name in two files", specs: []string{"function \"a\" {}", "\nfunction \"a\" {}"},
			want: []string{`2:1 Second function "a" / a.hcl, line 1`},
		},
		{
			name: "circle of two",
			specs: []string{
				"function \"a\" {\ncalls = [\"c\", \"b\"]\n}\nfunction \"c\" {}",
				"function \"b\" {\ncalls = [\"a\"]\n}",
			},
			want: []string{`2:15 Functions call each other in a circle / a → b → a. Such calls`},
		},
		{
			name: "two circles, and one that only leads to them",
			specs: []string{
				"function \"z\" {\ncalls = [\"a\", \"x\"]\n}\nfunction \"a\" {\ncalls = [\"b\"]\n}\nfunction \"b\" {\n" +
					"calls = [\"c\"]\n}",
				"function \"c\" {\ncalls = [\"a\", \"b\"]\n}\nfunction \"x\" {\ncalls = [\"y\"]\n}\nfunction \"y\" {\n" +
					"calls = [\"x\"]\n}",
			},
			want: []string{
				`5:10 Functions call each other in a circle / a → b → c → a.`,
				`5:10 Functions call each other in a circle / x → y → x.`,
			},
		},
		{
			name: "no binding", specs: []string{storage},
			want: []string{`3:1 Tag "receipts" has no binding / bind "quote" {`, `4:1 Tag "rates" has no binding / addresses = `},
		},
		{
			name: "bound", specs: []string{storage},
			bind: "bind \"quote\" {\nstorage \"receipts\" {\nvolume = \"r\"\n}\nnetwork \"rates\" {\naddresses = [\"h:1\"]\n}\n}",
		},
		{
			name: "no binding without an environment", specs: []string{storage}, bind: "-",
		},
		{
			name: "wrong bindings do not make tags unbound", specs: []string{storage},
			bind: "bind \"quote\" {\nstorage \"receipts\" {}\nnetwork \"rates\" {}\n}",
		},
		{
			name: "unknown tags", specs: []string{storage, "function \"b\" {}"},
			bind: "bind \"quote\" {\nstorage \"receipt\" {\nvolume = \"r\"\n}\nstorage \"rates\" {\nvolume = \"r\"\n}\n" +
				"storage \"xyzzy\" {\nvolume = \"r\"\n}\n}\n" +
				"bind \"b\" {\nnetwork \"n\" {\naddresses = [\"h:1\"]\n}\n}",
			want: []string{
				`3:1 Tag "receipts" has no binding / `, `4:1 Tag "rates" has no binding / `,
				`3:1 Binding for unknown tag "receipt" / Did you mean "receipts"?`,
				`6:1 Binding for unknown tag "rates" / It is a network tag`,
				`9:1 Binding for unknown tag "xyzzy" / storage tags receipts`,
				`14:1 Binding for unknown tag "n" / declares no network tag`,
			},
		},
		{
			name: "unknown function", specs: []string{"function \"quote\" {}"}, elsewhere: []string{"tax"},
			bind: "bind \"quoet\" {}\nbind \"tax\" {\nstorage \"x\" {\nvolume = \"v\"\n}\n}",
			want: []string{`2:6 Binding for unknown function "quoet" / Did you mean "quote"?`},
		},
		{
			name: "a spec with a broken tag", specs: []string{"function \"a\" {\nio {\nstorage \"Bad\" {}\n}\n}"},
			bind: "bind \"a\" {\nstorage \"bad\" {\nvolume = \"v\"\n}\n}",
		},
		{
			name: "directories",
			specs: []string{"function \"a\" {\nio {\nstorage \"x\" {}\n}\n}\nfunction \"b\" {\nio {\nstorage \"x\" {}\n" +
				"storage \"y\" {}\n}\n}"},
			bind: "bind \"a\" {\nstorage \"x\" {\npath = \"/srv/x\"\n}\n}\nbind \"b\" {\nstorage \"x\" {\n" +
				"path = \"/srv/x\"\n}\nstorage \"y\" {\npath = \"/srv/x/y\"\n}\n}",
			want: []string{
				`11:1 Directories overlap / "x" of function "a" (line 3)`,
				`11:1 Directories overlap / "x" of function "b" (line 8)`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fns []*Function
			for i, src := range tc.specs {
				some, _ := ParseFunctions(string(rune('a'+i))+".hcl", []byte(src))
				fns = append(fns, some...)
			}
			var env *Environment
			if tc.bind != "-" {
				env, _ = ParseEnvironment("dev.hcl", []byte(environmentOf(tc.bind)), nil)
			}
			diags := Check(fns, env, tc.elsewhere...)
			// Diagnostics of the specs come before those of the environment in the cases above.
			var specs, rest hcl.Diagnostics
			for _, d := range diags {
				if d.Subject.Filename == "dev.hcl" {
					rest = append(rest, d)
				} else {
					specs = append(specs, d)
				}
			}
			checkDiagnostics(t, append(specs, rest...), tc.want)
		})
	}
}

// Specs that were not parsed, such as those of another caller's test, have no places.
func TestCheckWithoutRanges(t *testing.T) {
	diags := Check([]*Function{{Name: "a", Calls: []string{"a", "b"}}}, &Environment{Name: "dev"})
	if len(diags) != 2 {
		t.Errorf("got %v; want a circle and an unknown function", diags)
	}
}
