package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	mit = `MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`
	bsdHead = `Copyright 2009 The Authors. All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
disclaimer in the documentation and/or other materials provided with the distribution.
`
	bsdThird = `3. Neither the name of the company nor the names of its contributors may be used to endorse or promote products
derived from this software without specific prior written permission.
`
	bsdTail = `
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
`
	isc = `ISC License

Copyright (c) 2012 Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`
	busl = "License text copyright (c) 2020 Somebody, Inc.\n\nBusiness Source License 1.1\n\nLicensor: Somebody, Inc.\n"
)

func TestRecognise(t *testing.T) {
	mpl, err := os.ReadFile("../../LICENSE") // our own
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want []string // none: refused
	}{
		"MIT":                  {mit, []string{"MIT"}},
		"no copyright":         {strings.Replace(mit, "Copyright (c) 2020 Somebody", "", 1), []string{"MIT"}},
		"BSD of two clauses":   {bsdHead + bsdTail, []string{"BSD-2-Clause"}},
		"BSD of three clauses": {bsdHead + bsdThird + bsdTail, []string{"BSD-3-Clause"}},
		"ISC":                  {isc, []string{"ISC"}},
		"MPL":                  {string(mpl), []string{"MPL-2.0"}},
		"two": {string(mpl) + "\n----\n\n" + bsdHead + bsdThird + bsdTail,
			[]string{"MPL-2.0", "BSD-3-Clause"}},
		"BUSL":                   {busl, nil},
		"BUSL in another":        {mit + busl, nil},
		"empty":                  {"", nil},
		"only a title":           {"MIT License\n\nCopyright (c) 2020 Somebody\n", nil},
		"only the notice":        {"Licensed under the Apache License, Version 2.0", nil},
		"a condition more":       {mit + "\nThe Software shall be used for Good, not Evil.\n", nil},
		"a condition in front":   {"Commons Clause: you may not sell.\n\n" + mit, nil},
		"a word changed":         {strings.Replace(mit, "sell", "lend", 1), nil},
		"a clause changed":       {bsdHead + strings.Replace(bsdThird, "may be", "must be", 1) + bsdTail, nil},
		"MPL with a change":      {strings.Replace(string(mpl), "non-exclusive", "exclusive", 1), nil},
		"MPL, cut":               {string(mpl[:5000]), nil},
		"a licence nobody knows": {"You may do what you like, on Sundays.", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := recognise(test.text)
			if (err == nil) != (test.want != nil) || !slices.Equal(found, test.want) {
				t.Errorf("found %v, %v; want %v", found, err, test.want)
			}
		})
	}
}

// tree writes a module's files and returns a function that makes its packages, whose one file is x.go.
func tree(t *testing.T, path string, files map[string]string) func(dir string) linkedPackage {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return func(dir string) linkedPackage {
		return linkedPackage{ImportPath: path + "/" + dir, Dir: filepath.Join(root, dir), GoFiles: []string{"x.go"},
			Module: &linkedModule{Path: path, Dir: root}}
	}
}

func TestJudgeTakesTheNearestLicence(t *testing.T) {
	pkg := tree(t, "mixed.example", map[string]string{
		"LICENSE": busl, "server/x.go": "package server\n", "plugins/LICENSE": mit, "plugins/a/b/x.go": "package b\n",
		"plugins/LICENSE.docs": "Creative Commons", "plugins/licence.go": "package plugins\n", "c/x.go": "package c\n",
		"c/License.md": bsdHead + bsdTail, "c/COPYING": isc,
	})
	modules, err := judge([]linkedPackage{pkg("plugins/a/b"), pkg("c")})
	if err != nil {
		t.Fatal(err)
	}
	text := string(render(modules))
	for _, want := range []string{"| `mixed.example` | 1 | MIT | `plugins/` |",
		"| `mixed.example` | 1 | BSD-2-Clause, ISC | `c/` |"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s in\n%s", want, text)
		}
	}
	_, err = judge([]linkedPackage{pkg("plugins/a/b"), pkg("server")})
	if err == nil || !strings.Contains(err.Error(), "mixed.example/server: LICENSE of mixed.example: it is the Business") {
		t.Errorf("error %v", err)
	}
}

func TestJudgeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no licence": {map[string]string{"a/x.go": "package a\n"}, "it has no licence file"},
		"a text that nobody knows": {map[string]string{"a/x.go": "package a\n", "LICENCE": "Ask me."},
			"LICENCE of m.example: it is not recognised, at \"ask me\""},
		"one known and one not": {map[string]string{"a/x.go": "package a\n", "LICENSE": mit, "LICENSE-2": "Ask me."},
			"LICENSE-2 of m.example"},
		"a file that says another": {map[string]string{
			"a/x.go": "// Copyright X\n// SPDX-License-Identifier: BUSL-1.1\n\npackage a\n", "LICENSE": mit,
		}, "x.go says that it is under BUSL-1.1"},
		"a file that is not there": {map[string]string{"a/y.go": "package a\n", "LICENSE": mit}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := judge([]linkedPackage{tree(t, "m.example", test.files)("a")})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "m.example/a: ") {
				t.Errorf("error %v; want %q", err, test.want)
			}
		})
	}
	if _, err := judge([]linkedPackage{{ImportPath: "nowhere.example/a"}}); err == nil {
		t.Error("a package without a module")
	}
	pkg := tree(t, "m.example", map[string]string{"LICENSE": mit})(".")
	pkg.Module.Dir = t.TempDir()
	if _, err := judge([]linkedPackage{pkg}); err == nil {
		t.Error("a package outside of its module")
	}
}

func TestAFileThatSaysAnAcceptedLicence(t *testing.T) {
	for text, want := range map[string]bool{
		"// SPDX-License-Identifier: MPL-2.0":                           true,
		"/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */": true,
		"// SPDX-License-Identifier: MIT AND GPL-3.0-only":              false,
		"// SPDX-License-Identifier: GPL-3.0-only":                      false,
		"": true,
	} {
		pkg := tree(t, "m.example", map[string]string{"x.go": text + "\n\npackage a\n", "LICENSE": mit})(".")
		if _, err := judge([]linkedPackage{pkg}); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestATextThatPeopleReadHasToStayAsItWas(t *testing.T) {
	for path := range readByPeople {
		pkg := tree(t, path, map[string]string{readByPeople[path].file: "changed", "x.go": "package a\n"})(".")
		if _, err := judge([]linkedPackage{pkg}); err == nil || !strings.Contains(err.Error(), "read it") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOwnModules(t *testing.T) {
	for m, want := range map[*linkedModule]bool{
		nil: false, {}: false, {Main: true}: true, {Replace: &linkedModule{}}: true,
		{Replace: &linkedModule{Version: "v1"}}: false,
	} {
		if m.own() != want {
			t.Errorf("%+v: %v", m, !want)
		}
	}
}
