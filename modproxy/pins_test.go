package modproxy

import (
	"slices"
	"strings"
	"testing"
)

var commit = strings.Repeat("a", 40)

func TestParsePins(t *testing.T) {
	got, err := ParsePins("repos.bzl", []byte(`"""The pins."""
load("//bazel:pins.bzl", "declare_pinned", d = "other")
HOST = "https://git.example.com/"
FUNCTIONS = {
    "tea": {"commit": "`+commit+`", "remote": HOST + "tea.git", "functions": {"cup": "//cup"}, "ref": "main"},
    "fx": {"commit": "`+commit+`", "remote": "//.repos/fx", "module": "shop.example/money"},
}
SDK = {"commit": "`+commit+`", "remote": "//.repos/sdk"}
def function_repositories():
    declare_pinned(FUNCTIONS)
`), []byte("COUNTERSIGN = 1"))
	want := []Pin{
		{Name: "tea", Remote: "https://git.example.com/tea.git", Commit: commit, Ref: "main"},
		{Name: "fx", Remote: "//.repos/fx", Commit: commit, Ref: "HEAD", Module: "shop.example/money"},
		{Name: "SDK", Remote: "//.repos/sdk", Commit: commit, Ref: "HEAD", Module: SDKPath},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// A deployment's own repository pins the product, and with it the SDK.
func TestPinOfTheProduct(t *testing.T) {
	product := `COUNTERSIGN = {"commit": "` + commit + `", "remote": "https://git.example.com/countersign.git"}`
	got, err := ParsePins("repos.bzl", []byte("FUNCTIONS = {}"), []byte(product))
	want := []Pin{{Name: "SDK", Remote: "https://git.example.com/countersign.git", Commit: commit, Ref: "HEAD", Module: SDKPath}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := ParsePins("repos.bzl", []byte("FUNCTIONS = {}"), []byte("COUNTERSIGN = 1")); err == nil {
		t.Error("a pin that is none passed")
	}
}

func TestPinsThatAreNone(t *testing.T) {
	entry := func(members string) string { return `FUNCTIONS = {"tea": {` + members + `}}` }
	good := `"commit": "` + commit + `", "remote": "https://x"`
	for src, want := range map[string]string{
		"":                                             "sets no FUNCTIONS",
		"FUNCTIONS = [":                                "repos.bzl:1",
		"FUNCTIONS = {1: {}}":                          "entry 1",
		"FUNCTIONS = {'x': 'y'}":                       "not a dict",
		"FUNCTIONS = {'../x': {" + good + "}}":         "not a name",
		"FUNCTIONS = {'SDK': {" + good + "}}":          "not a name",
		entry(`"remote": "https://x"`):                 "commit",
		entry(`"commit": "main", "remote": "x"`):       "not a full commit id",
		entry(`"commit": "` + commit + `"`):            "remote",
		entry(good + `, "ref": "refs/pull/1/head"`):    "not the name of a branch or tag",
		entry(good + `, "ref": "--upload-pack=x"`):     "not the name of a branch or tag",
		entry(good + `, "module": "nodot"`):            "dot",
		entry(good + `, "ref": 1`):                     "not a string",
		strings.Replace(entry(good), "https", "-c", 1): "not a URL",
		"load('x', 'f')\nFUNCTIONS = f()":              "can't be called",
		"FUNCTIONS = [x for x in range(1 << 30)]":      "too many steps",
	} {
		if pins, err := ParsePins("repos.bzl", []byte(src), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want an error with %q", src, pins, err, want)
		}
	}
}
