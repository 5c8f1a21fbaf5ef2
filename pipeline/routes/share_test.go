package routes

import "testing"

func TestParseShare(t *testing.T) {
	for text, want := range map[string]Share{
		"10%": 1000, "10": 1000, "12.5%": 1250, "0.01%": 1, "99.99": 9999, "1.05": 105, "5%": 500,
	} {
		got, err := ParseShare(text)
		if err != nil || got != want {
			t.Errorf("ParseShare(%q) = %d, %v; want %d", text, got, err, want)
		}
		if again, err := ParseShare(got.String()); err != nil || again != got {
			t.Errorf("%d is printed as %s, which is read as %d, %v", got, got, again, err)
		}
		if back := shareOf(got.weight()); back != got {
			t.Errorf("%s is weight %v, which is read as %s", got, got.weight(), back)
		}
		if rest := Whole - got; got.weight()+rest.weight() != 100 {
			t.Errorf("the weights of %s and %s make %v", got, rest, got.weight()+rest.weight())
		}
	}
	for _, text := range []string{
		"", "%", "0", "0%", "0.00%", "100", "100%", "-1", "+5", "1e1", "0.001", "12.345%", "10%%", "10 %", ".5", "5.", "ten", "0x5",
		"NaN", "1_0", "١", "10.-1",
	} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("ParseShare(%q) = %s, want an error", text, got)
		}
	}
}
