package main

import (
	"image"
	"image/color"
	"testing"
)

func filled(width, height int, c color.Color) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, c)
		}
	}
	return img
}

// Every code survives, whatever the sizes: the tables are each other's inverse, and the weights sum to one.
func TestShrinkKeepsEvenColour(t *testing.T) {
	for v := range 256 {
		c := color.NRGBA{uint8(v), uint8(255 - v), 77, 255}
		got := shrink(filled(7, 5, c), image.Pt(3, 2), false)
		for i := range 6 {
			if at := got.NRGBAAt(i%3, i/3); at != c {
				t.Fatalf("%v became %v", c, at)
			}
		}
	}
}

func TestShrinkToSameSizeChangesNothing(t *testing.T) {
	src := quarters(6, 4)
	got := shrink(src, image.Pt(6, 4), false)
	for i := range src.Pix {
		if src.Pix[i] != got.Pix[i] {
			t.Fatalf("byte %d is %d, was %d", i, got.Pix[i], src.Pix[i])
		}
	}
}

// Half of the light of white is code 188; the mean of the codes would be 128.
func TestShrinkAveragesLight(t *testing.T) {
	src := filled(2, 2, color.White)
	src.Set(0, 0, color.Black)
	src.Set(1, 1, color.Black)
	if got, want := shrink(src, image.Pt(1, 1), false).NRGBAAt(0, 0), (color.NRGBA{188, 188, 188, 255}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Three columns into two: the middle one counts half for each.
func TestShrinkWeighsByCoverage(t *testing.T) {
	src := filled(3, 1, color.Black)
	src.Set(1, 0, color.White)
	got := shrink(src, image.Pt(2, 1), false)
	third := uint8(156) // the code of a third of white's light
	for x := range 2 {
		if at := got.NRGBAAt(x, 0); at != (color.NRGBA{third, third, third, 255}) {
			t.Errorf("column %d is %v, want %d", x, at, third)
		}
	}
}

// The colour of what can't be seen must not bleed into what can.
func TestShrinkWeighsByOpacity(t *testing.T) {
	src := filled(2, 1, color.NRGBA{255, 0, 0, 255})
	src.SetNRGBA(1, 0, color.NRGBA{0, 0, 255, 0})
	if got, want := shrink(src, image.Pt(1, 1), false).NRGBAAt(0, 0), (color.NRGBA{255, 0, 0, 128}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := shrink(src, image.Pt(1, 1), true).NRGBAAt(0, 0), (color.NRGBA{255, 188, 188, 255}); got != want {
		t.Errorf("against white: got %v, want %v", got, want)
	}
}

// Pictures of every type that the decoders make, and parts of pictures, are read at the right place.
func TestShrinkReadsEveryKind(t *testing.T) {
	rect := image.Rect(3, 2, 11, 8)
	want := color.NRGBA{120, 120, 120, 255}
	for name, img := range map[string]interface {
		image.Image
		Set(x, y int, c color.Color)
	}{
		"gray":     image.NewGray(rect),
		"gray16":   image.NewGray16(rect),
		"nrgba64":  image.NewNRGBA64(rect),
		"rgba":     image.NewRGBA(rect),
		"rgba64":   image.NewRGBA64(rect),
		"paletted": image.NewPaletted(rect, color.Palette{color.Black, want}),
		"cmyk":     image.NewCMYK(rect),
	} {
		for y := rect.Min.Y; y < rect.Max.Y; y++ {
			for x := rect.Min.X; x < rect.Max.X; x++ {
				img.Set(x, y, want)
			}
		}
		if got := shrink(img, image.Pt(3, 3), false).NRGBAAt(2, 2); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// 4K to a usual thumbnail: what a call costs natively.
func BenchmarkShrink(b *testing.B) {
	src := image.NewYCbCr(image.Rect(0, 0, 3840, 2160), image.YCbCrSubsampleRatio420)
	for b.Loop() {
		shrink(src, image.Pt(320, 180), true)
	}
}
