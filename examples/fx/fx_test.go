package fx

import "testing"

func TestDigits(t *testing.T) {
	for currency, want := range map[string]int{"EUR": 2, "JPY": 0, "BHD": 3} {
		if n, ok := Digits(currency); !ok || n != want {
			t.Errorf("Digits(%q) = %d, %v; want %d, true", currency, n, ok, want)
		}
	}
	if _, ok := Digits("eur"); ok {
		t.Error(`Digits("eur"): currency codes are upper case`)
	}
}
