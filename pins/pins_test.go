package pins

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	one  = "1111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222"
	four = "4444444444444444444444444444444444444444"
)

func before(t *testing.T) *File {
	t.Helper()
	f, err := Read("testdata/before.bzl")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEntries(t *testing.T) {
	f := before(t)
	all := f.Entries()
	if len(all) != 2 || all[0].Name != "fx" || all[0].Ref != HEAD || all[1].Remote != "https://git.example.com/shop.git" {
		t.Fatalf("%+v", all)
	}
	if !maps.Equal(all[1].Functions, map[string]string{"cart": "//cart", "till": "//:till"}) {
		t.Errorf("functions: %v", all[1].Functions)
	}
	if e, ok := f.Of("till"); !ok || e.Name != "shop" {
		t.Errorf("till is in %+v", e)
	}
	if _, ok := f.Of("shop"); ok {
		t.Error("shop has no function of its name")
	}
	all[1].Functions["x"] = "y"
	if e, _ := f.Entry("shop"); len(e.Functions) != 2 {
		t.Error("what was returned is what the file holds")
	}
}

// Each result is what buildifier would leave alone: `make lint` looks at testdata/*.bzl.
func TestEdits(t *testing.T) {
	cart := Entry{Name: "cash", Commit: four, Ref: "main", Remote: "https://git.example.com/cash.git"}
	many := Entry{Name: "zoo", Commit: four, Ref: HEAD, Remote: "//.repos/zoo", Module: "git.example.com/x/zoo2",
		Functions: map[string]string{"lion": "//:lion", "ape": "//ape"}}
	for _, tc := range []struct {
		name string
		edit func(*File) error
	}{
		{"set", func(f *File) error { return errors.Join(f.Set("fx", four), f.Set("shop", four)) }},
		{"add-first", func(f *File) error { return f.Add(cart) }},
		{"add-last", func(f *File) error { return f.Add(many) }},
		{"remove", func(f *File) error { return f.Remove("shop") }},
		{"remove-all", func(f *File) error { return errors.Join(f.Remove("fx"), f.Remove("shop")) }},
		{"all", func(f *File) error {
			return errors.Join(f.Remove("fx"), f.Add(many), f.Set("shop", four), f.Add(cart), f.Set("zoo", two))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := before(t)
			if err := tc.edit(f); err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + tc.name + ".bzl"
			if *update {
				if err := os.WriteFile(golden, f.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Bytes(), want) {
				t.Errorf("got\n%s", f.Bytes())
			}
		})
	}
}

func TestEmptyDicts(t *testing.T) {
	added := "FUNCTIONS = {\n    \"fx\": {\n        \"commit\": \"" + one + "\",\n        \"remote\": \"/fx\",\n    },\n}\n"
	f, err := Parse("repos.bzl", []byte("FUNCTIONS = {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add(Entry{Name: "fx", Commit: one, Remote: "/fx", Ref: HEAD}); err != nil || string(f.Bytes()) != added {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
	if err := f.Remove("fx"); err != nil || string(f.Bytes()) != "FUNCTIONS = {}\n" {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
}

func TestSyntaxErrors(t *testing.T) {
	entry := func(members string) string { return "FUNCTIONS = {\n    \"fx\": {" + members + "},\n}\n" }
	good := `"commit": "` + one + `", "remote": "/fx"`
	for _, tc := range []struct{ name, src, want string }{
		{"none", "X = 1\n", "r.bzl:1:1: the file does not set FUNCTIONS"},
		{"no Starlark", "FUNCTIONS = {\n", "r.bzl:2:1: "},
		{"no text", "FUNCTIONS = {\"\xff\x00", "r.bzl:1:"},
		{"deep", "FUNCTIONS = " + strings.Repeat("(", 1<<20), "excessive nesting"},
		{"computed", "FUNCTIONS = dict(a = 1)\n", "r.bzl:1:13: FUNCTIONS is not a dict that is written down"},
		{"changed later", "FUNCTIONS = {}\nFUNCTIONS[\"x\"] = {}\n", "r.bzl:2:1: FUNCTIONS is used or changed here"},
		{"set twice", "FUNCTIONS = {}\nFUNCTIONS = {}\n", "r.bzl:2:1: FUNCTIONS is used or changed here"},
		{"name is a variable", "FUNCTIONS = {x: {}}\n", "r.bzl:1:14: the name of a repository is not a string"},
		{"name", "FUNCTIONS = {\"../x\": {}}\n", `r.bzl:1:14: "../x" is not a name of a repository`},
		{"twice", "FUNCTIONS = {\n\"a\": {" + good + "},\n\"a\": {" + good + "}}\n", "r.bzl:3:1: a is pinned in line 2 already"},
		{"no dict", "FUNCTIONS = {\"a\": 1}\n", "r.bzl:1:19: a is not a dict"},
		{"no commit", entry(`"remote": "/x"`), `r.bzl:2:11: fx: commit "" is not a full commit id`},
		{"short commit", entry(`"commit": "abc", "remote": "/x"`), `r.bzl:2:22: fx: commit "abc" is not a full commit id`},
		{"commit twice", entry(good + `, "commit": "` + two + `"`), `fx has "commit" in line 2 already`},
		{"computed commit", entry(`"commit": A + B, "remote": "/x"`), "commit of fx is not a string that is written down"},
		{"option", entry(`"commit": "` + one + `", "remote": "--upload-pack=x"`), `remote "--upload-pack=x" is not a URL or path`},
		{"ref", entry(good + `, "ref": "refs/pull/1/head"`), `ref "refs/pull/1/head" is not the name of a branch or tag`},
		{"member", entry(good + `, "tag": "x"`), `fx has a member "tag"`},
		{"functions", entry(good + `, "functions": []`), "functions of fx is not a dict"},
		{"label", entry(good + `, "functions": {"a": "@b//:c"}`), `"@b//:c" is not a label in fx`},
		{"one function twice", "FUNCTIONS = {\n\"a\": {" + good + "},\n\"b\": {" + good + ", \"functions\": {\"a\": \"//:a\"}}}\n",
			"r.bzl:3:1: function a is in a and in b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("r.bzl", []byte(tc.src))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			var at *SyntaxError
			if !errors.As(err, &at) || at.Line < 1 || at.Column < 1 {
				t.Errorf("%v tells no line", err)
			}
		})
	}
	// All at once.
	_, err := Parse("r.bzl", []byte("FUNCTIONS = {\n\"a\": 1,\n\"b\": 2,\n}\n"))
	if err == nil || !strings.Contains(err.Error(), "r.bzl:2:6") || !strings.Contains(err.Error(), "r.bzl:3:6") {
		t.Errorf("got %v", err)
	}
}

// An edit that can't be made, or would not leave a file of pins, changes nothing.
func TestRefusedEdits(t *testing.T) {
	inline := `FUNCTIONS = {"fx": {"commit": "` + one + `", "remote": "/fx"}}` + "\n"
	for _, tc := range []struct {
		name, src string
		edit      func(*File) error
		want      string
	}{
		{"unknown", inline, func(f *File) error { return f.Set("tax", two) }, "pins no repository tax: it pins fx"},
		{"remove unknown", inline, func(f *File) error { return f.Remove("tax") }, "pins no repository tax"},
		{"branch", inline, func(f *File) error { return f.Set("fx", "main") }, `"main" is not a full commit id`},
		{"not formatted", inline, func(f *File) error { return f.Remove("fx") }, "repos.bzl:1:14: fx is not on lines of its own"},
		{"not formatted, added", inline, func(f *File) error { return f.Add(Entry{Name: "z", Commit: one, Remote: "/z", Ref: HEAD}) },
			"have buildifier format the file"},
		{"there", inline, func(f *File) error { return f.Add(Entry{Name: "fx", Commit: one, Remote: "/z", Ref: HEAD}) }, "pins fx already"},
		{"its function is there", "FUNCTIONS = {\n    \"fx\": {\"commit\": \"" + one + "\", \"remote\": \"/fx\"},\n}\n",
			func(f *File) error {
				return f.Add(Entry{Name: "z", Commit: one, Remote: "/z", Ref: HEAD, Functions: map[string]string{"fx": "//:fx"}})
			}, "function fx is in fx and in z"},
		{"quote", "FUNCTIONS = {}\n", func(f *File) error { return f.Add(Entry{Name: "z", Commit: one, Remote: `/z", "x": "`, Ref: HEAD}) },
			"can't name it"},
		{"line", "FUNCTIONS = {}\n", func(f *File) error { return f.Add(Entry{Name: "z", Commit: one, Remote: "/z\n", Ref: HEAD}) }, "can't name it"},
		{"hidden", "FUNCTIONS = {}\n", func(f *File) error { return f.Add(Entry{Name: "z", Commit: one, Remote: "/z\u202e", Ref: HEAD}) }, "can't name it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("repos.bzl", []byte(tc.src))
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.edit(f); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if string(f.Bytes()) != tc.src || f.Changed() {
				t.Errorf("it was changed all the same:\n%s", f.Bytes())
			}
		})
	}
}

// onDisk returns the path of a copy of before.bzl.
func onDisk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, before(t).Bytes(), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func moved(t *testing.T, path string) *File {
	t.Helper()
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Set("fx", four); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWrite(t *testing.T) {
	path := onDisk(t)
	f := moved(t, path)
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, f.Bytes()) {
		t.Errorf("%v\n%s", err, got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	// Again, on top of what was written.
	if err := errors.Join(f.Set("fx", two), f.Write()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteKeepsWhatOthersChanged(t *testing.T) {
	path := onDisk(t)
	f := moved(t, path)
	if err := os.WriteFile(path, []byte("FUNCTIONS = {}\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(); err == nil || !strings.Contains(err.Error(), "changed by somebody else") {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "FUNCTIONS = {}\n" {
		t.Errorf("overwritten:\n%s", got)
	}
}

func TestWriteReplacesNoLink(t *testing.T) {
	path := onDisk(t)
	link := filepath.Join(t.TempDir(), FileName)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f := moved(t, link)
	if err := f.Write(); err == nil || !strings.Contains(err.Error(), "is a symbolic link") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestReadTakesOnlyFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), FileName)
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(pipe); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a pipe: %v", err)
	}
	large := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), maxSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(large); err == nil || !strings.Contains(err.Error(), "is too large") {
		t.Errorf("a large file: %v", err)
	}
}

func TestFind(t *testing.T) {
	path := onDisk(t)
	below := filepath.Join(filepath.Dir(path), "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(below); err != nil || got != path {
		t.Errorf("%s, %v", got, err)
	}
}

func FuzzEdit(f *testing.F) {
	src, err := os.ReadFile("testdata/before.bzl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Add([]byte("FUNCTIONS = {\"\u00fc\": 1}\r\n"))
	f.Add([]byte(`FUNCTIONS = {"fx": {"commit": '` + one + `', "remote": r"""/fx"""}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Parse("repos.bzl", src)
		if err != nil {
			return
		}
		for _, e := range p.Entries() {
			if err := p.Set(e.Name, four); err != nil {
				t.Fatalf("set %s: %v", e.Name, err)
			}
			if got, _ := p.Entry(e.Name); got.Commit != four {
				t.Fatalf("set %s: %s", e.Name, got.Commit)
			}
		}
		_ = p.Add(Entry{Name: "a-new-one", Commit: four, Ref: HEAD, Remote: "/x"})
		for _, e := range p.Entries() {
			_ = p.Remove(e.Name)
		}
	})
}
