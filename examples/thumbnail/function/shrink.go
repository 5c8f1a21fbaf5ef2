package main

import (
	"image"
	"image/color"
	"math"
)

// shrink scales src down to size by averaging: a pixel of the result is the mean of exactly the area of src that it
// covers, in which pixels at the edge count by the part that is inside. The mean is taken of light, not of sRGB codes
// (averaging codes darkens edges), and of colours weighted by their opacity. With opaque set, the result is seen
// against white. Neither side of size may be larger than src's.
func shrink(src image.Image, size image.Point, opaque bool) *image.NRGBA {
	b := src.Bounds()
	dst := image.NewNRGBA(image.Rectangle{Max: size})
	row := make([]light, b.Dx())
	narrow := make([]light, size.X)
	sum := make([]light, size.X)
	scale := 1 / float32(b.Dx()*b.Dy())

	// In a grid that both sizes divide, a source row is size.Y high and a row of the result b.Dy().
	y, edge := 0, b.Dy()
	for sy := range b.Dy() {
		read(row, src, b.Min.Y+sy)
		average(narrow, row)
		for top, bottom := sy*size.Y, (sy+1)*size.Y; top < bottom; {
			part := min(bottom, edge) - top
			for x := range sum {
				sum[x].add(narrow[x], float32(part))
			}
			if top += part; top == edge {
				write(dst, y, sum, scale, opaque)
				clear(sum)
				y, edge = y+1, edge+b.Dy()
			}
		}
	}
	return dst
}

// light is the linear light of a pixel, 0 to 1, multiplied by its opacity.
type light struct{ r, g, b, a float32 }

func (l *light) add(o light, weight float32) {
	l.r += o.r * weight
	l.g += o.g * weight
	l.b += o.b * weight
	l.a += o.a * weight
}

// average sums a row into fewer pixels. A sum is len(row) times the mean.
func average(narrow, row []light) {
	clear(narrow)
	x, edge := 0, len(row)
	for sx, pixel := range row {
		for left, right := sx*len(narrow), (sx+1)*len(narrow); left < right; {
			part := min(right, edge) - left
			narrow[x].add(pixel, float32(part))
			if left += part; left == edge {
				x, edge = x+1, edge+len(row)
			}
		}
	}
}

// read reads a row of src.
func read(row []light, src image.Image, y int) {
	b := src.Bounds()
	at := func(x int) color.RGBA64 { return color.RGBA64Model.Convert(src.At(x, y)).(color.RGBA64) }
	if fast, ok := src.(image.RGBA64Image); ok {
		at = func(x int) color.RGBA64 { return fast.RGBA64At(x, y) }
	}
	for i := range row {
		row[i] = lightOf(at(b.Min.X + i))
	}
}

func lightOf(c color.RGBA64) light {
	switch c.A {
	case 0xffff:
		return light{toLight[c.R>>4], toLight[c.G>>4], toLight[c.B>>4], 1}
	case 0:
		return light{}
	}
	// Codes are multiplied by opacity in c; light is to be.
	a := uint32(c.A)
	opacity := float32(a) / 0xffff
	linear := func(v uint16) float32 { return toLight[min(uint32(v)*0xffff/a, 0xffff)>>4] * opacity }
	return light{linear(c.R), linear(c.G), linear(c.B), opacity}
}

// write writes a row of the result, given sums that scale makes means.
func write(dst *image.NRGBA, y int, sums []light, scale float32, opaque bool) {
	for x, sum := range sums {
		a := sum.a * scale
		r, g, b := sum.r*scale, sum.g*scale, sum.b*scale
		switch {
		case opaque:
			r, g, b, a = r+1-a, g+1-a, b+1-a, 1
		case a > 0:
			r, g, b = r/a, g/a, b/a
		}
		dst.SetNRGBA(x, y, color.NRGBA{code(r), code(g), code(b), uint8(min(a, 1)*255 + 0.5)})
	}
}

// code returns the sRGB code of linear light.
func code(v float32) uint8 {
	root := math.Sqrt(float64(min(max(v, 0), 1)))
	return toCode[int(root*(codeSteps-1)+0.5)]
}

const (
	lightSteps = 1 << 12 // one for each 12-bit code
	codeSteps  = 1 << 12 // by square root of light, which spaces the steps nearly as the eye and sRGB do
)

// toLight and toCode are the transfer function of sRGB (IEC 61966-2-1) and its inverse, as tables.
var (
	toLight [lightSteps]float32
	toCode  [codeSteps]uint8
)

func init() {
	for i := range toLight {
		v := float64(i) / (lightSteps - 1)
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		toLight[i] = float32(v)
	}
	for i := range toCode {
		v := float64(i) / (codeSteps - 1)
		v *= v
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		toCode[i] = uint8(v*255 + 0.5)
	}
}
