// Package thumbnail is the API of the function "thumbnail": making a picture smaller. It owns the types of the call and
// the limits; it knows no image format from within.
package thumbnail

import "countersign.internal/sdk"

// Limits of a request. A picture beyond them is refused before any of it is decoded.
const (
	MaxBytes  = 4 << 20 // of the encoded picture
	MaxPixels = 8 << 20 // of the decoded picture: 3840 x 2160 fits
	MaxSide   = 1024    // of the thumbnail
)

// Formats of pictures.
const (
	PNG  = "png"  // PNG, ISO/IEC 15948
	JPEG = "jpeg" // JPEG, ITU-T T.81
)

// Request asks for a picture that fits into Width x Height pixels.
type Request struct {
	Image []byte `json:"image"` // a PNG or JPEG file; base64 in JSON (RFC 4648, section 4)
	// Width and Height bound the thumbnail, 1 to MaxSide. One of them may be 0 for no bound but MaxSide.
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Format string `json:"format,omitempty"` // PNG or JPEG; "" means that of Image
	// Quality of a JPEG, 1 to 100; 0 means 85.
	Quality int `json:"quality,omitempty"`
}

// Reply is the thumbnail. It has the aspect ratio of the source, to the nearest pixel, and is never larger. It is
// upright, whatever orientation the source's Exif data gave, and holds no metadata.
type Reply struct {
	Image  []byte `json:"image"`  // base64 in JSON
	Format string `json:"format"` // PNG or JPEG
	Width  int    `json:"width"`
	Height int    `json:"height"`

	SourceFormat string `json:"source_format"`
	SourceWidth  int    `json:"source_width"` // as seen upright
	SourceHeight int    `json:"source_height"`
}

// Make is the function. It fails for what is no PNG or JPEG, or a broken one, and beyond the limits.
var Make = sdk.Define[Request, Reply]("thumbnail")
