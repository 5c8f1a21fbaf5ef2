package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"countersign.example/thumbnail"
)

// picture is a decoded picture as it is stored, and how it is to be turned.
type picture struct {
	image.Image
	format      string
	orientation orientation
}

// size returns the size of p when upright.
func (p picture) size() image.Point {
	size := p.Bounds().Size()
	if p.orientation.swapsSides() {
		size.X, size.Y = size.Y, size.X
	}
	return size
}

// codec is how one format is recognised and read.
type codec struct {
	format string
	magic  string
	config func([]byte) (image.Config, error)
	decode func([]byte) (image.Image, error)
}

var codecs = []codec{
	{
		format: thumbnail.PNG,
		magic:  "\x89PNG\r\n\x1a\n",
		config: func(b []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(b)) },
		decode: func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) },
	},
	{
		format: thumbnail.JPEG,
		magic:  "\xff\xd8\xff",
		config: func(b []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(b)) },
		decode: func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) },
	},
}

// checkSize checks the size that a header claims. The limit of a side is JPEG's; a PNG could be one row of all pixels.
func checkSize(width, height int) error {
	const maxSide = 1<<16 - 1
	if width < 1 || height < 1 || width > maxSide || height > maxSide || width*height > thumbnail.MaxPixels {
		return fmt.Errorf("the picture claims %d x %d pixels; accepted are up to %d in all, and up to %d a side",
			width, height, thumbnail.MaxPixels, maxSide)
	}
	return nil
}

// decode decodes a PNG or JPEG. The size that its header claims is checked first: a file of a few kilobytes can claim,
// and would then get, gigabytes of pixels.
func decode(file []byte) (picture, error) {
	if len(file) == 0 {
		return picture{}, errors.New(`"image" is empty; it takes a PNG or JPEG file, encoded in base64`)
	}
	if len(file) > thumbnail.MaxBytes {
		return picture{}, fmt.Errorf("the picture has %d bytes; at most %d are accepted",
			len(file), thumbnail.MaxBytes)
	}
	for _, c := range codecs {
		if !bytes.HasPrefix(file, []byte(c.magic)) {
			continue
		}
		config, err := c.config(file)
		if err != nil {
			return picture{}, fmt.Errorf("read the header of the %s: %w", c.format, err)
		}
		if err := checkSize(config.Width, config.Height); err != nil {
			return picture{}, err
		}
		img, err := c.decode(file)
		if err != nil {
			return picture{}, fmt.Errorf("decode the %s: %w", c.format, err)
		}
		p := picture{Image: img, format: c.format, orientation: upright}
		if c.format == thumbnail.JPEG {
			p.orientation = exifOrientation(file)
		}
		return p, nil
	}
	return picture{}, errors.New("the picture is neither a PNG nor a JPEG")
}
