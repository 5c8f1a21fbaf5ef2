package modproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/git"
)

func TestContentThatIsNoModule(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"link out":    {map[string]string{"passwd": "-> /etc/passwd"}, "symbolic link"},
		"link within": {map[string]string{"copy.go": "-> tea.go"}, "symbolic link"},
		"case":        {map[string]string{"Tea.go": "package tea\n"}, "case-insensitive"},
		"go.mod case": {map[string]string{"GO.MOD": "module x\n"}, "GO.MOD"},
		"bad name":    {map[string]string{"aux.go": "package tea\n"}, "aux.go"},
		"backslash":   {map[string]string{`..\x.go`: "package tea\n"}, "x.go"},
		"huge":        {map[string]string{"huge": strings.Repeat("x", maxFile+1)}, "at most"},
		"other path":  {map[string]string{"go.mod": "module shop.example/other\n"}, "another module, shop.example/other"},
		"huge go.mod": {map[string]string{"go.mod": "module shop.example/tea\n" + strings.Repeat("//\n", maxGoMod)}, "too large"},
		"linked mod":  {map[string]string{"m/go.mod": "module x\n", "go.mod": "-> m/go.mod"}, "not a file"},
		"no go.mod":   {map[string]string{"go.mod": ""}, "names no module"},
	} {
		t.Run(name, func(t *testing.T) {
			tm := newTeam(t, "tea")
			pin := tm.commit(t, tea(teaPath))
			if strings.HasPrefix(tc.files["go.mod"], "-> ") {
				if err := os.Remove(filepath.Join(tm.dir, "go.mod")); err != nil {
					t.Fatal(err)
				}
			}
			bad := tm.commit(t, tc.files)
			p := serve(t, pinned(tm.entry(pin)))
			version := "v0.0.0-20260303080000-" + bad[:12]
			p.wants(t, 403, tc.want, "/shop.example/tea/@v/"+version+".zip")
			p.wants(t, 200, "", "/shop.example/tea/@v/v0.0.0-20260302080000-"+pin[:12]+".zip")
		})
	}
}

func TestSubmodule(t *testing.T) {
	tm := newTeam(t, "tea")
	first := tm.commit(t, tea(teaPath))
	tm.git(t, "update-index", "--add", "--cacheinfo", "160000,"+first+",sub")
	tm.git(t, "commit", "--quiet", "-m", "sub")
	tm.days++
	pin := tm.git(t, "rev-parse", "HEAD")
	p := serve(t, pinned(tm.entry(pin)))
	p.wants(t, 403, "submodule", "/shop.example/tea/@v/v0.0.0-20260302080000-"+pin[:12]+".zip")
}

func TestTooMuch(t *testing.T) {
	many := make([]git.Entry, maxFiles+1)
	for i := range many {
		many[i] = git.Entry{Mode: "100644", Path: fmt.Sprint(i)}
	}
	if err := checkEntries(many); err == nil || !strings.Contains(err.Error(), "files") {
		t.Errorf("%d files: %v", len(many), err)
	}
	var large []git.Entry
	for i := range maxModule/maxFile + 1 {
		large = append(large, git.Entry{Mode: "100644", Path: fmt.Sprint(i), Size: maxFile})
	}
	if err := checkEntries(large); err == nil || !strings.Contains(err.Error(), "in all") {
		t.Errorf("too large in all: %v", err)
	}
	if err := checkEntries([]git.Entry{{Mode: "040000", Path: "dir"}}); err == nil {
		t.Error("a mode that is no file passed")
	}
}

// Versions that would let something else than the history of the pinned ref pass, or the same thing under endless names.
func TestVersionsThatAreNot(t *testing.T) {
	tm := newTeam(t, "tea")
	old := tm.commit(t, tea(teaPath))
	tm.git(t, "tag", "v1.0.0")
	pin := tm.commit(t, nil)
	tm.git(t, "tag", old[:12], pin) // a tag with the name of another commit
	tm.git(t, "checkout", "--quiet", "-b", "side", old)
	side := tm.commit(t, nil)
	tm.git(t, "tag", "v1.9.0")
	tm.git(t, "update-ref", "refs/pull/1/head", side)
	tm.git(t, "checkout", "--quiet", "main")
	tm.git(t, "branch", "-D", "side")
	tm.git(t, "tag", "v1.1.0+build")
	tm.git(t, "tag", "v1.0.1-0.20260303080000-"+pin[:12])
	p := serve(t, pinned(tm.entry(pin)))

	p.wants(t, 200, old[:12], "/shop.example/tea/@v/v0.0.0-20260302080000-"+old[:12]+".info")
	p.wants(t, 200, `"v1.0.0"`, "/shop.example/tea/@v/"+old[:12]+".info")
	at := "/shop.example/tea/@v/"
	p.wants(t, 403, "there is no", at+"v0.0.0-20260304080000-"+side[:12]+".info", at+side+".info", at+"v1.9.0.info", at+"v1.5.0.zip",
		at+"v0.0.0-20260304080000-0123456789ab.info", at+strings.Repeat("0", 64)+".info")
	p.wants(t, 403, "is version", at+"v0.0.0-20260303080001-"+pin[:12]+".info", at+"v0.0.0-19700101000000-"+pin[:12]+".info")
	p.wants(t, 403, "no tag before", at+"v1.4.1-0.20260303080000-"+pin[:12]+".info", at+"v9.0.1-0.20260303080000-"+pin[:12]+".zip")
	p.wants(t, 403, "", at+"v0.0.0-20260303080000-"+pin[:13]+".info", at+"v2.0.0-20260303080000-"+pin[:12]+".info", at+"v1.1.0+build.info")
	if _, list := p.get(t, at+"list"); list != "v1.0.0\n" {
		t.Errorf("list %q", list)
	}
}

// A repository that says that it is something else than what the platform pinned it as.
func TestClaims(t *testing.T) {
	for name, claim := range map[string]string{
		"another team's": "shop.example/fx", "everybody's": "golang.org/x/text", "the SDK": SDKPath, "below the SDK": SDKPath + "/tea", "none": "",
	} {
		t.Run(name, func(t *testing.T) {
			evil, fx := newTeam(t, "tea"), newTeam(t, "fx")
			right := fx.commit(t, tea("shop.example/fx"))
			p := serve(t, pinned(evil.entry(evil.commit(t, tea(claim))), fx.entry(right)))
			if len(p.Paths()) != 1 || p.Paths()[0] != "shop.example/fx" {
				t.Errorf("served are %q", p.Paths())
			}
			p.wants(t, 200, right[:12], "/shop.example/fx/@latest")
			p.wants(t, 404, "", "/golang.org/x/text/@latest", "/"+SDKPath+"/@latest", "/"+SDKPath+"/tea/@latest")
			if !strings.Contains(p.tellings(), "not served: repository tea") {
				t.Errorf("told %q", p.tellings())
			}
		})
	}
}

func TestThePlatformsWordOnPaths(t *testing.T) {
	a, b, c := newTeam(t, "a"), newTeam(t, "b"), newTeam(t, "c")
	module := `"module": "shop.example/basket"`
	right, twice := tea("shop.example/basket"), tea("shop.example/basket")
	p := serve(t, pinned(a.entry(a.commit(t, right), module)))
	p.wants(t, 200, "", "/shop.example/basket/@latest")
	// Another path than it says: not even the one that it says, and nobody else's under the one that it should have.
	p = serve(t, pinned(a.entry(a.commit(t, tea("shop.example/a")), module)))
	p.wants(t, 404, "", "/shop.example/a/@latest")
	p.wants(t, 403, "repos.bzl that it is shop.example/basket", "/shop.example/basket/@latest")
	// Nor does a repository get a path by its name that the platform gave to another, also while that can't be reached.
	basket := newTeam(t, "basket")
	claim := basket.entry(basket.commit(t, tea("shop.example/basket")))
	commit := a.commit(t, right)
	p = serve(t, pinned(claim, a.entry(commit, module)))
	p.wants(t, 200, commit[:12], "/shop.example/basket/@latest")
	p = serve(t, pinned(claim, strings.Replace(a.entry(commit, module), a.dir, "/nonexistent", 1)))
	p.wants(t, 502, "repository a", "/shop.example/basket/@latest")
	p = serve(t, pinned(b.entry(b.commit(t, right), module), c.entry(c.commit(t, twice), module)))
	p.wants(t, 403, "both say", "/shop.example/basket/@latest")
}

func TestSDK(t *testing.T) {
	product, tm := newTeam(t, "product"), newTeam(t, "tea")
	root := map[string]string{"go.mod": "module countersign\n", "LICENSE": "free\n", "sdk/go.mod": "module " + SDKPath + "\n", "sdk/sdk.go": "package sdk\n"}
	pin := product.commit(t, root)
	sdk := fmt.Sprintf("SDK = {\"commit\": %q, \"remote\": %q}\n", pin, product.dir)
	p := serve(t, pinned(tm.entry(tm.commit(t, tea(teaPath))))+sdk)
	version := "v0.0.0-20260302080000-" + pin[:12]
	p.wants(t, 200, version, "/"+SDKPath+"/@latest")
	p.wants(t, 200, SDKPath+"@"+version+"/sdk.go", "/"+SDKPath+"/@v/"+version+".zip")
	p.wants(t, 200, SDKPath+"@"+version+"/LICENSE", "/"+SDKPath+"/@v/"+version+".zip")
	p.wants(t, 404, "", "/countersign/@latest")
}

// What can't be reached is that repository's trouble, and nobody else may stand in for it.
func TestUnreachable(t *testing.T) {
	gone, tm := newTeam(t, "fx"), newTeam(t, "tea")
	commit := gone.commit(t, tea("shop.example/fx"))
	if err := os.RemoveAll(gone.dir); err != nil {
		t.Fatal(err)
	}
	p := serve(t, pinned(gone.entry(commit), tm.entry(tm.commit(t, tea(teaPath)))))
	p.wants(t, 200, "", "/shop.example/tea/@latest")
	p.wants(t, 502, "repository fx", "/shop.example/fx/@latest", "/shop.example/fx/@v/list")
	p.wants(t, 404, "", "/shop.example/other/@latest")
}

func TestUnknownCommitsAreLookedForNowAndThen(t *testing.T) {
	tm := newTeam(t, "tea")
	p := serve(t, pinned(tm.entry(tm.commit(t, tea(teaPath)))))
	later := tm.commit(t, nil)
	ask := "/shop.example/tea/@v/" + later + ".info"
	p.wants(t, 403, "there is no commit", ask) // fetched a moment ago
	c := p.table.Load().modules[teaPath].clone
	c.Expire()
	p.wants(t, 200, later[:12], ask)
	// A client that makes up commits has the remote asked no more often: it is gone, and nobody notices.
	if err := os.RemoveAll(tm.dir); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		p.wants(t, 403, "there is no commit", fmt.Sprintf("/shop.example/tea/@v/%040x.info", i))
	}
	c.Expire()
	p.wants(t, 502, "to look again", "/shop.example/tea/@v/"+strings.Repeat("1", 40)+".info")
}

func TestPasswordsAreNotShown(t *testing.T) {
	repos := pinned(`    "tea": {"commit": "` + strings.Repeat("1", 40) + `", "remote": "http://me:hunter2@127.0.0.1:1/tea.git"},` + "\n")
	p := serve(t, repos)
	_, body := p.get(t, "/shop.example/tea/@latest")
	if told := p.tellings() + body; strings.Contains(told, "hunter2") || !strings.Contains(told, "127.0.0.1") {
		t.Errorf("shown: %s", told)
	}
}
