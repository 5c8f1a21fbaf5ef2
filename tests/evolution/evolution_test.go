package evolution

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"countersign.internal/sdk/sdktest"
	"countersign/interfaces"
)

var (
	pairs = flag.Int("pairs", 600, "how many pairs of types to compare")
	seed  = flag.Uint64("seed", rand.Uint64(), "of the random types")
)

// TestServes makes pairs of types, of which one comes from the other by random changes. If Serves calls them compatible,
// every value comes through, in each encoding. If it does not, there is a value that does not come through in one of them.
func TestServes(t *testing.T) {
	t.Logf("-seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	count := map[string]int{}
	for n := range *pairs {
		old := newObject(r, 3)
		changed := old.clone()
		for range r.IntN(3) {
			changed.edit(r)
		}
		old.complete()
		changed.complete()
		sender, receiver := old.goType(), changed.goType()
		if r.IntN(2) == 0 {
			sender, receiver = receiver, sender
		}
		for _, request := range []bool{true, false} {
			checkPair(t, r, n, sender, receiver, request, count)
		}
	}
	t.Log(count)
	for _, what := range []string{"same", "compatible, another", "breaking"} {
		if count[what] < *pairs/20 {
			t.Errorf("only %d of %d pairs are %s: the changes are not those that matter", count[what], *pairs, what)
		}
	}
}

func checkPair(t *testing.T, r *rand.Rand, n int, sender, receiver reflect.Type, request bool, count map[string]int) {
	t.Helper()
	callee, builtWith := describe(t, receiver, request), describe(t, sender, request)
	if !request {
		callee, builtWith = builtWith, callee
	}
	differences := callee.Serves(builtWith)
	for range 3 { // one with all that there can be, others, and an empty one
		for tries := range 40 {
			sent := reflect.New(sender).Elem()
			if tries > 0 {
				fill(r, sent, tries%2 == 1, 7)
			}
			lost := comesThrough(sent, receiver, request)
			if lost == "" {
				continue
			}
			if len(differences) == 0 {
				t.Fatalf("pair %d is called compatible, request %t:\n%v\n%v\n%+v is lost: %s", n, request, sender, receiver, sent, lost)
			}
			count["breaking"]++
			return
		}
		if len(differences) == 0 {
			break
		}
	}
	switch {
	case slices.ContainsFunc(differences, mistaken):
		count["mistaken"]++
	case len(differences) != 0:
		t.Errorf("pair %d is called breaking, request %t:\n%v\n%v\n%v\nbut all values come through", n, request, sender, receiver, differences)
	case callee.Digest() == builtWith.Digest():
		count["same"]++
	default:
		count["compatible, another"]++
	}
}

// mistaken are fields that the receiver takes for others, whose names differ from theirs in case alone. If both are objects
// that share no field, JSON loses nothing.
func mistaken(d interfaces.Difference) bool { return strings.Contains(d.Reason, "take it for") }

// comesThrough tells what is lost, or "".
func comesThrough(sent reflect.Value, receiver reflect.Type, request bool) string {
	for _, name := range codecNames {
		got, j := reflect.New(receiver).Elem(), judge{request: request}
		if err := codecs[name](sent, got); err != nil {
			return fmt.Sprintf("%s: %v", name, err)
		}
		if !j.same(sent, got) || j.dropped && j.absent {
			return fmt.Sprintf("%s gives %+v", name, got)
		}
	}
	return ""
}

// describe returns the interface of a function that has the type on one of its sides.
func describe(t *testing.T, of reflect.Type, request bool) *interfaces.Interface {
	t.Helper()
	types := [2]reflect.Type{reflect.TypeFor[string](), of}
	if request {
		types = [2]reflect.Type{of, reflect.TypeFor[string]()}
	}
	text, err := sdktest.Describe("tax", types[0], types[1])
	if err != nil {
		t.Fatalf("%v: %v", of, err)
	}
	i, err := interfaces.ParseInterface(text)
	if err != nil {
		t.Fatalf("%v: %v\n%s", of, err, text)
	}
	if !bytes.Equal(i.Encode(), text) {
		t.Fatalf("%v: the SDK writes\n%s, which is encoded as\n%s", of, text, i.Encode())
	}
	return i
}
