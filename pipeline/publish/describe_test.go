package publish

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDescribeRemembers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	module := []byte("this is no module")
	if _, _, err := describe(t.Context(), module); err == nil {
		t.Fatal("something that is no module was described")
	}
	file := describedBefore(module)
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a failure was remembered")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, cached, err := describe(t.Context(), module); err != nil || !cached || string(got) != "{}" {
		t.Errorf("describe = %s, %t, %v; want what is in the cache", got, cached, err)
	}
	if _, _, err := describe(t.Context(), []byte("another")); err == nil {
		t.Error("other bytes were taken for the same")
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, cached, err := describe(t.Context(), module); err == nil || cached {
		t.Errorf("without a cache directory: cached %t, %v; want the failure of the module", cached, err)
	}
}
