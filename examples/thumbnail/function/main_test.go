package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"countersign.example/thumbnail"
)

// quarters is a picture with four colours, so that every way of turning it can be told.
func quarters(width, height int) *image.NRGBA {
	colors := [2][2]color.NRGBA{{{255, 0, 0, 255}, {0, 255, 0, 255}}, {{0, 0, 255, 255}, {255, 255, 255, 255}}}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, colors[2*y/height][2*x/width])
		}
	}
	return img
}

func encoded(t testing.TB, img image.Image, format string) []byte {
	t.Helper()
	file, err := encode(img, format, 95)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func call(t *testing.T, req thumbnail.Request) (thumbnail.Reply, image.Image) {
	t.Helper()
	reply, err := thumbnail.Make.Call(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	img, format, err := image.Decode(bytes.NewReader(reply.Image))
	if err != nil {
		t.Fatal("decode the thumbnail:", err)
	}
	if size := img.Bounds().Size(); size != image.Pt(reply.Width, reply.Height) || format != reply.Format {
		t.Errorf("the thumbnail is a %v %s, the reply says %d x %d %s",
			size, format, reply.Width, reply.Height, reply.Format)
	}
	return reply, img
}

func TestFormats(t *testing.T) {
	for _, tc := range []struct{ from, to, want string }{
		{thumbnail.PNG, "", thumbnail.PNG},
		{thumbnail.JPEG, "", thumbnail.JPEG},
		{thumbnail.PNG, thumbnail.JPEG, thumbnail.JPEG},
		{thumbnail.JPEG, thumbnail.PNG, thumbnail.PNG},
	} {
		req := thumbnail.Request{Image: encoded(t, quarters(96, 64), tc.from), Width: 24, Format: tc.to}
		reply, img := call(t, req)
		if reply.Format != tc.want || reply.Width != 24 || reply.Height != 16 ||
			reply.SourceFormat != tc.from || reply.SourceWidth != 96 || reply.SourceHeight != 64 {
			reply.Image = nil
			t.Errorf("%s to %q: %+v", tc.from, tc.to, reply)
		}
		checkCorner(t, img, 2, 2, color.NRGBA{255, 0, 0, 255})
		checkCorner(t, img, 21, 13, color.NRGBA{255, 255, 255, 255})
	}
}

func checkCorner(t *testing.T, img image.Image, x, y int, want color.NRGBA) {
	t.Helper()
	got := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
	near := func(a, b uint8) bool { return max(a, b)-min(a, b) <= 6 } // JPEG is lossy
	if !near(got.R, want.R) || !near(got.G, want.G) || !near(got.B, want.B) || got.A != want.A {
		t.Errorf("pixel %d,%d is %v, want %v", x, y, got, want)
	}
}

func TestFit(t *testing.T) {
	for _, tc := range []struct{ size, bound, want image.Point }{
		{image.Pt(4000, 2000), image.Pt(100, 100), image.Pt(100, 50)},
		{image.Pt(2000, 4000), image.Pt(100, 100), image.Pt(50, 100)},
		{image.Pt(4000, 2000), image.Pt(0, 100), image.Pt(200, 100)},
		{image.Pt(300, 200), image.Pt(0, 70), image.Pt(105, 70)},
		{image.Pt(50, 40), image.Pt(100, 100), image.Pt(50, 40)},       // never larger
		{image.Pt(60000, 10), image.Pt(100, 0), image.Pt(100, 1)},      // never nothing
		{image.Pt(8000, 1000), image.Pt(0, 1000), image.Pt(1024, 128)}, // the unbounded side has a limit, too
		{image.Pt(1, 1), image.Pt(1, 1), image.Pt(1, 1)},
	} {
		if got := fit(tc.size, tc.bound.X, tc.bound.Y); got != tc.want {
			t.Errorf("%v into %v: %v, want %v", tc.size, tc.bound, got, tc.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	good := encoded(t, quarters(8, 8), thumbnail.PNG)
	for _, tc := range []struct {
		name string
		req  thumbnail.Request
		want string
	}{
		{"no size", thumbnail.Request{Image: good}, "width"},
		{"negative", thumbnail.Request{Image: good, Width: -1}, "width -1"},
		{"too large", thumbnail.Request{Image: good, Height: 1025}, "height 1025"},
		{"format", thumbnail.Request{Image: good, Width: 4, Format: "gif"}, `"gif"`},
		{"quality", thumbnail.Request{Image: good, Width: 4, Quality: 101}, "quality 101"},
		{"empty", thumbnail.Request{Width: 4}, "empty"},
		{"not a picture", thumbnail.Request{Image: []byte("GIF89a"), Width: 4}, "neither a PNG nor a JPEG"},
		{"long", thumbnail.Request{Image: make([]byte, thumbnail.MaxBytes+1), Width: 4}, "at most 4194304"},
		{"cut off", thumbnail.Request{Image: good[:len(good)-20], Width: 4}, "decode the png"},
		{"header only", thumbnail.Request{Image: good[:10], Width: 4}, "header of the png"},
		{"no JPEG", thumbnail.Request{Image: []byte("\xff\xd8\xff\xe0"), Width: 4}, "header of the jpeg"},
		{"bomb", thumbnail.Request{Image: claiming(good, 50_000, 50_000), Width: 4}, "claims 50000 x 50000"},
		{"one row", thumbnail.Request{Image: claiming(good, 100_000, 1), Width: 4}, "claims 100000 x 1"},
	} {
		_, err := thumbnail.Make.Call(t.Context(), tc.req)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %s", tc.name, err, tc.want)
		}
	}
}

// claiming returns a PNG whose header claims another size, with a correct checksum.
func claiming(file []byte, width, height uint32) []byte {
	const header = 12 // offset of the first chunk's type
	bomb := slices.Clone(file)
	binary.BigEndian.PutUint32(bomb[header+4:], width)
	binary.BigEndian.PutUint32(bomb[header+8:], height)
	binary.BigEndian.PutUint32(bomb[header+17:], crc32.ChecksumIEEE(bomb[header:header+17]))
	return bomb
}

// withExif returns a JPEG with an Exif segment that gives an orientation.
func withExif(file []byte, o orientation, order binary.AppendByteOrder) []byte {
	mark := "MM"
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		mark = "II"
	}
	tiff := append([]byte("Exif\x00\x00"), mark...)
	tiff = order.AppendUint16(tiff, 42)
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	for _, entry := range [][2]uint16{{0x0100, 640}, {0x0112, uint16(o)}} {
		tiff = order.AppendUint16(tiff, entry[0])
		tiff = order.AppendUint16(tiff, 3)
		tiff = order.AppendUint32(tiff, 1)
		tiff = order.AppendUint16(tiff, entry[1])
		tiff = order.AppendUint16(tiff, 0)
	}
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(tiff)))
	return slices.Concat(file[:2], segment, tiff, file[2:])
}

func TestOrientation(t *testing.T) {
	red, green := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}
	blue, white := color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}
	// Stored: red green over blue white. Seen, per Exif: where the 0th row and the 0th column are.
	seen := map[orientation][4]color.NRGBA{
		1: {red, green, blue, white},
		2: {green, red, white, blue},
		3: {white, blue, green, red},
		4: {blue, white, red, green},
		5: {red, blue, green, white},
		6: {blue, red, white, green},
		7: {white, green, blue, red},
		8: {green, white, red, blue},
	}
	file := encoded(t, quarters(64, 32), thumbnail.JPEG)
	for o, want := range seen {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			req := thumbnail.Request{Image: withExif(file, o, order), Width: 16, Height: 16, Format: thumbnail.PNG}
			reply, img := call(t, req)
			width, height := 16, 8
			if o.swapsSides() {
				width, height = 8, 16
			}
			if reply.Width != width || reply.Height != height || reply.SourceWidth != 4*width {
				t.Errorf("orientation %d: %d x %d of %d x %d",
					o, reply.Width, reply.Height, reply.SourceWidth, reply.SourceHeight)
				continue
			}
			for i, c := range want {
				checkCorner(t, img, 1+(width-3)*(i%2), 1+(height-3)*(i/2), c)
			}
		}
	}
}

func TestSenselessExifIsUpright(t *testing.T) {
	file := withExif(encoded(t, quarters(8, 8), thumbnail.JPEG), 6, binary.BigEndian)
	if o := exifOrientation(file); o != 6 {
		t.Fatalf("orientation %d, want 6", o)
	}
	for name, broken := range map[string][]byte{
		"orientation 9": withExif(encoded(t, quarters(8, 8), thumbnail.JPEG), 9, binary.BigEndian),
		"offset":        slices.Concat(file[:16], []byte{0xff, 0xff, 0xff, 0xff}, file[20:]),
		"length":        slices.Concat(file[:4], []byte{0xff, 0xff}, file[6:]),
		"no length":     slices.Concat(file[:4], []byte{0, 0}, file[6:]),
		"cut off":       file[:30],
	} {
		if o := exifOrientation(broken); o != upright {
			t.Errorf("%s: orientation %d", name, o)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, quarters(5, 3), thumbnail.PNG))
	f.Add(withExif(encoded(f, quarters(5, 3), thumbnail.JPEG), 6, binary.LittleEndian))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := decode(file)
		if err != nil {
			return
		}
		size := p.size()
		if size.X*size.Y > thumbnail.MaxPixels || p.orientation < 1 || p.orientation > 8 {
			t.Errorf("%v, orientation %d", size, p.orientation)
		}
	})
}
