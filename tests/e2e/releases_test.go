//go:build integration

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// latest returns the number of the latest release, and all that are listed.
func latest(t *testing.T) (number int, listed string) {
	t.Helper()
	out, code := command(t, "", "releases", "-json", "-n", "0")
	var list []struct{ Number int }
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) == 0 || len(list) != list[0].Number {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	return list[0].Number, out
}

// TestReleases deploys, and looks at what is recorded; then Consul's pointer is lost, and forged.
func TestReleases(t *testing.T) {
	deploy(t, "chaos")
	before, _ := latest(t)
	edit := func(_, spec string) string { return strings.Replace(spec, `"2s"`, `"1300ms"`, 1) }
	if out := h.DeployEdited(t, edit, []string{"chaos"}); !strings.Contains(out, "This is release "+strconv.Itoa(before+1)+".") {
		t.Errorf("the deploy says\n%s", out)
	}
	defer deploy(t, "chaos")
	number, listed := latest(t)
	if number != before+1 {
		t.Errorf("release %d after %d", number, before)
	}
	if out, code := command(t, "", "release", "diff", strconv.Itoa(before), strconv.Itoa(number)); code != 0 || !regexp.MustCompile(`(?s)~ chaos.*artifact_digest: .* -> .*spec_digest: `).MatchString(out) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := command(t, "", "release", "show", strconv.Itoa(number)); code != 0 || !strings.Contains(out, "chaos") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := command(t, "", "release", "show", "999999"); code != 1 || !strings.Contains(out, "has no release") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	name := regexp.MustCompile(`environment "([a-z0-9-]+)"`).FindStringSubmatch(readEnvironment(t))
	if name == nil {
		t.Fatal("the environment has no name")
	}
	pointer, _, err := consulClient(t).KV().Get("countersign/releases/"+name[1], nil)
	if err != nil || pointer == nil {
		t.Fatalf("%+v, %v", pointer, err)
	}
	if _, err := consulClient(t).KV().Delete(pointer.Key, nil); err != nil {
		t.Fatal(err)
	}
	if _, again := latest(t); again != listed {
		t.Errorf("without Consul's pointer the releases are\n%s\nnot\n%s", again, listed)
	}
	right := pointer.Value
	pointer.Value = []byte(strings.Replace(string(right), `"number":`+strconv.Itoa(number), `"number":`+strconv.Itoa(number+7), 1))
	for _, forged := range []string{string(pointer.Value), "[", `{"number":-1,"record":"","manifest":""}`} {
		pointer.Value = []byte(forged)
		if _, err := consulClient(t).KV().Put(pointer, nil); err != nil {
			t.Fatal(err)
		}
		if out, code := command(t, "", "releases"); code != 3 {
			t.Errorf("with the pointer %s: exit code %d\n%s", forged, code, out)
		}
		if out, code := h.TryDeploy(t, []string{"chaos"}); code != 3 || strings.Contains(out, "registered") {
			t.Errorf("a deploy with the pointer %s: exit code %d\n%s", forged, code, out)
		}
	}
	if _, err := consulClient(t).KV().Delete(pointer.Key, nil); err != nil {
		t.Fatal(err)
	}
	deploy(t, "chaos") // has Consul point to the last one again
	if now, _, err := consulClient(t).KV().Get(pointer.Key, nil); err != nil || now == nil {
		t.Errorf("Consul has %+v, %v", now, err)
	}
	checkRecord(t, listed)
}

// checkRecord tells whether a list names where the record is.
func checkRecord(t *testing.T, listed string) {
	t.Helper()
	var list []struct{ Artifact string }
	if err := json.Unmarshal([]byte(listed), &list); err != nil || !regexp.MustCompile(`/releases\.[a-z0-9-]+@sha256:[0-9a-f]{64}$`).MatchString(list[0].Artifact) {
		t.Errorf("%v: the record is %q", err, list)
	}
}

func readEnvironment(t *testing.T) string {
	t.Helper()
	for _, v := range env.Vars() {
		if file, ok := strings.CutPrefix(v, "COUNTERSIGN_ENVIRONMENT="); ok {
			src, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			return string(src)
		}
	}
	t.Fatal("the cluster names no environment file")
	return ""
}
