// Command function implements the function "thumbnail". It owns decoding within limits, scaling and encoding.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"countersign.example/thumbnail"
	"countersign.internal/sdk"
)

func init() { sdk.Handle(thumbnail.Make, resize) }

func main() { sdk.Main() }

const defaultQuality = 85

func resize(ctx context.Context, req thumbnail.Request) (thumbnail.Reply, error) {
	if err := check(req); err != nil {
		return thumbnail.Reply{}, err
	}
	src, err := decode(req.Image)
	if err != nil {
		return thumbnail.Reply{}, err
	}
	if err := ctx.Err(); err != nil {
		return thumbnail.Reply{}, err
	}
	format := req.Format
	if format == "" {
		format = src.format
	}
	size := src.size()
	fitted := fit(size, req.Width, req.Height)
	stored := fitted
	if src.orientation.swapsSides() {
		stored.X, stored.Y = fitted.Y, fitted.X
	}
	small := src.orientation.upright(shrink(src.Image, stored, format == thumbnail.JPEG))
	encoded, err := encode(small, format, req.Quality)
	if err != nil {
		return thumbnail.Reply{}, err
	}
	return thumbnail.Reply{
		Image: encoded, Format: format, Width: fitted.X, Height: fitted.Y,
		SourceFormat: src.format, SourceWidth: size.X, SourceHeight: size.Y,
	}, nil
}

// check checks everything of a request but the picture.
func check(req thumbnail.Request) error {
	for _, side := range []struct {
		name string
		n    int
	}{{"width", req.Width}, {"height", req.Height}} {
		if side.n < 0 || side.n > thumbnail.MaxSide {
			return fmt.Errorf("%s %d is not between 1 and %d", side.name, side.n, thumbnail.MaxSide)
		}
	}
	if req.Width == 0 && req.Height == 0 {
		return errors.New(`give "width", "height" or both`)
	}
	if req.Format != "" && req.Format != thumbnail.PNG && req.Format != thumbnail.JPEG {
		return fmt.Errorf("format %q is neither %q nor %q", req.Format, thumbnail.PNG, thumbnail.JPEG)
	}
	if req.Quality < 0 || req.Quality > 100 {
		return fmt.Errorf("quality %d is not between 1 and 100", req.Quality)
	}
	return nil
}

// fit returns the largest size with the aspect ratio of size inside width x height, where 0 is no bound of one's own.
// It is never larger than size, and no side is less than a pixel.
func fit(size image.Point, width, height int) image.Point {
	bound := func(n, most int) int {
		if n == 0 || n > most {
			return most
		}
		return n
	}
	width = bound(width, min(size.X, thumbnail.MaxSide))
	height = bound(height, min(size.Y, thumbnail.MaxSide))
	if width*size.Y <= height*size.X {
		return image.Pt(width, max(1, (2*width*size.Y+size.X)/(2*size.X)))
	}
	return image.Pt(max(1, (2*height*size.X+size.Y)/(2*size.Y)), height)
}

func encode(img image.Image, format string, quality int) ([]byte, error) {
	var buf bytes.Buffer
	var err error
	if format == thumbnail.PNG {
		err = png.Encode(&buf, img)
	} else {
		if quality == 0 {
			quality = defaultQuality
		}
		err = jpeg.Encode(&buf, img, &jpeg.Options{Quality: quality})
	}
	if err != nil {
		return nil, fmt.Errorf("encode the thumbnail as %s: %w", format, err)
	}
	return buf.Bytes(), nil
}
