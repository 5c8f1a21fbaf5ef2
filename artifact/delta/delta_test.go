package delta

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
)

// code is something like a program: instructions, some of which hold the index of what they call, and a table in front of it.
func code(r *rand.Rand, functions int) []byte {
	var b []byte
	for f := range functions {
		b = append(b, 0x00, 0x61, 0x73, byte(f), byte(f>>8))
		for range 20 + r.IntN(60) {
			if r.IntN(4) == 0 {
				b = binary.AppendUvarint(append(b, 0x10), uint64(r.IntN(functions)+1000))
			} else {
				b = append(b, byte(r.IntN(40)), byte(r.IntN(256)))
			}
		}
	}
	return b
}

// grown is code in which a function was inserted, so that calls beyond it have another index.
func grown(b []byte, at int, by []byte) []byte {
	out := append(bytes.Clone(b[:at]), by...)
	for i := at; i < len(b); i++ {
		c := b[i]
		if i > 0 && b[i-1] == 0x10 {
			c++
		}
		out = append(out, c)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	program, other := code(r, 500), code(r, 200)
	changed := bytes.Clone(program)
	changed[len(changed)/2]++
	for name, tc := range map[string]struct {
		from, to []byte
		most     int // bytes of the delta
	}{
		"nothing to nothing":   {nil, nil, 100},
		"something to nothing": {program, nil, 100},
		"nothing to something": {nil, other, len(other) + 200},
		"the same":             {program, program, 100},
		"a constant":           {program, changed, 120},
		"a function more":      {program, grown(program, len(program)/3, other[:500]), len(program) / 15},
		"a function less":      {grown(program, len(program)/3, other[:500]), program, len(program) / 15},
		"two parts exchanged":  {program, append(bytes.Clone(program[len(program)/2:]), program[:len(program)/2]...), 200},
		"twice":                {program, append(bytes.Clone(program), program...), 200},
		"something else":       {program, other, len(other) + 200},
		"shorter than windows": {[]byte("abcdefg"), []byte("abcxefg"), 100},
		"a few bytes":          {program[:20], program[5:25], 150},
		"all bytes another":    {bytes.Repeat([]byte{1}, 5000), bytes.Repeat([]byte{2}, 5000), 200},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Make(tc.from, tc.to)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Apply(tc.from, d, int64(len(tc.to)))
			if err != nil || !bytes.Equal(got, tc.to) {
				t.Fatalf("%v; %d bytes, want %d", err, len(got), len(tc.to))
			}
			if len(d) > tc.most {
				t.Errorf("the delta has %d bytes, more than %d", len(d), tc.most)
			}
			if again, _ := Make(tc.from, tc.to); !bytes.Equal(again, d) {
				t.Error("another delta the second time")
			}
		})
	}
}

func TestRandomEdits(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		from := code(r, 1+r.IntN(20))
		to := bytes.Clone(from)
		for range r.IntN(8) {
			i := r.IntN(len(to) + 1)
			j := i + r.IntN(len(to)-i+1)
			switch r.IntN(3) {
			case 0:
				to = append(bytes.Clone(to[:i]), to[j:]...)
			case 1:
				to = append(append(bytes.Clone(to[:i]), code(r, 1)...), to[i:]...)
			case 2:
				to = append(append(bytes.Clone(to[:i]), to[i:j]...), to[i:]...)
			}
		}
		d, err := Make(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Apply(from, d, int64(len(to))); err != nil || !bytes.Equal(got, to) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// pack makes a delta of streams.
func pack(t testing.TB, s ...[]byte) []byte {
	t.Helper()
	out := []byte(magic)
	for i := range s {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err == nil {
			_, err = w.Write(s[i])
			err = errors.Join(err, w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		s[i] = b.Bytes()
		out = binary.AppendUvarint(out, uint64(len(s[i])))
	}
	return append(out, bytes.Join(s, nil)...)
}

// numbers are unsigned, but every third of a control stream is signed.
func numbers(list ...int64) (b []byte) {
	for i, n := range list {
		if i%3 == 2 {
			b = binary.AppendVarint(b, n)
		} else {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// TestRefuses gives deltas that somebody made who wants to read, write or allocate what is not his.
func TestRefuses(t *testing.T) {
	from := bytes.Repeat([]byte("0123456789"), 100)
	good, err := Make(from, from[100:])
	if err != nil {
		t.Fatal(err)
	}
	bomb := make([]byte, 64<<10)
	huge := binary.AppendUvarint(nil, 1<<63)
	for name, tc := range map[string]struct {
		delta []byte
		size  int64
	}{
		"nothing":                   {nil, 10},
		"another format":            {[]byte("countersign-delta2\nxxxx"), 10},
		"cut":                       {good[:len(good)-1], 900},
		"longer":                    {append(bytes.Clone(good), 0), 900},
		"of another size, less":     {good, 899},
		"of another size, more":     {good, 901},
		"of a negative size":        {good, -1},
		"of a huge size":            {good, 1 << 40},
		"from beyond the end":       {pack(t, numbers(0, 0, 2000, 10, 0, 0), nil, nil, nil), 10},
		"from before the beginning": {pack(t, numbers(0, 0, -1, 10, 0, 0), nil, nil, nil), 10},
		"over the end":              {pack(t, numbers(0, 0, 995, 10, 0, 0), nil, nil, nil), 10},
		"more than the size":        {pack(t, numbers(11, 0, 0), nil, nil, nil), 10},
		"more new than there is":    {pack(t, numbers(0, 10, 0), nil, nil, []byte("abc")), 10},
		"less than it brings":       {pack(t, numbers(10, 0, 0), nil, nil, []byte("abc")), 10},
		"a change without a value":  {pack(t, numbers(10, 0, 0), numbers(3), nil, nil), 10},
		"a value without a change":  {pack(t, numbers(10, 0, 0), nil, []byte{1}, nil), 10},
		"a huge number":             {pack(t, huge, nil, nil, nil), 10},
		"a huge move":               {pack(t, numbers(0, 0, 1<<62, 10, 0, 0), nil, nil, nil), 10},
		"a change beyond the copy":  {pack(t, numbers(10, 0, 0), numbers(20), nil, nil), 10},
		"half a region":             {pack(t, numbers(10, 0), nil, nil, nil), 10},
		"a huge gap":                {pack(t, numbers(10, 0, 0), huge, []byte{1}, nil), 10},
		"not compressed":            {append([]byte(magic), 1, 1, 1, 1, 'a', 'b', 'c', 'd'), 10},
		"a length beyond the end":   {append([]byte(magic), 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0), 10},
		"a bomb":                    {pack(t, numbers(10, 0, 0), bomb, nil, nil), 10},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Apply(from, tc.delta, tc.size)
			var refused *FormatError
			if !errors.As(err, &refused) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	if _, err := Make(make([]byte, MaxSize+1), nil); err == nil {
		t.Error("a version that is too large is taken")
	}
}

// TestBomb gives a delta whose streams unpack to many times what it makes. They are not kept in memory.
func TestBomb(t *testing.T) {
	const size = 1 << 20
	zeros := make([]byte, 4*size)
	for name, d := range map[string][]byte{
		"control":     pack(t, zeros, nil, nil, nil),
		"gaps":        pack(t, numbers(size, 0, 0), zeros, nil, nil),
		"values":      pack(t, numbers(size, 0, 0), nil, zeros, nil),
		"new":         pack(t, numbers(0, size, 0), nil, nil, zeros),
		"all of them": pack(t, zeros, zeros, zeros, zeros),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			from := make([]byte, size)
			runtime.ReadMemStats(&before)
			_, err := Apply(from, d, size)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 3*size/2 {
				t.Errorf("%v; it took %d bytes of memory for a result of %d", err, n, size)
			}
		})
	}
}

// TestCostly has versions of which each place resembles two others, nearly to their ends: they are given up.
func TestCostly(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	some := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for name, part := range map[string][]byte{"copies": some(20 << 10), "zeros": make([]byte, 20<<10)} {
		begin, copied := some(64), bytes.Clone(part)
		for i := len(copied) - 12; i < len(copied); i += 3 {
			copied[i]++
		}
		from := bytes.Join([][]byte{part, begin, {1}, copied}, nil)
		to := bytes.Join([][]byte{begin, {2}, part}, nil)
		if _, err := Make(from, to); !errors.Is(err, errCostly) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	f.Add([]byte(nil), []byte(nil))
	f.Add(code(r, 5), code(r, 5))
	f.Add(bytes.Repeat([]byte{0}, 100), bytes.Repeat([]byte{0, 1}, 60))
	f.Fuzz(func(t *testing.T, from, to []byte) {
		d, err := Make(from, to)
		if errors.Is(err, errCostly) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Apply(from, d, int64(len(to))); err != nil || !bytes.Equal(got, to) {
			t.Fatalf("%v, %d bytes of %d", err, len(got), len(to))
		}
	})
}

func FuzzApply(f *testing.F) {
	from := bytes.Repeat([]byte("0123456789"), 100)
	for _, to := range [][]byte{nil, from, from[100:], append(bytes.Clone(from[:500]), "new"...)} {
		d, err := Make(from, to)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(d, int64(len(to)))
	}
	f.Add(pack(f, numbers(10, 0, 0), numbers(3), []byte{1}, nil), int64(10))
	f.Fuzz(func(t *testing.T, d []byte, size int64) {
		got, err := Apply(from, d, size%(1<<20))
		if err == nil && int64(len(got)) != size%(1<<20) {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// BenchmarkDelta makes and applies the delta of two files: DELTA_FROM and DELTA_TO name them.
func BenchmarkDelta(b *testing.B) {
	from, err := os.ReadFile(os.Getenv("DELTA_FROM"))
	if err != nil {
		b.Skip("set DELTA_FROM and DELTA_TO to two builds of a function")
	}
	to, err := os.ReadFile(os.Getenv("DELTA_TO"))
	if err != nil {
		b.Fatal(err)
	}
	var d []byte
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			if d, err = Make(from, to); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(d)), "delta-bytes")
		b.ReportMetric(100*float64(len(d))/float64(len(to)), "%")
	})
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			if _, err := Apply(from, d, int64(len(to))); err != nil {
				b.Fatal(err)
			}
		}
	})
}
