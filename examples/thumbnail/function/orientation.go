package main

import (
	"bytes"
	"encoding/binary"
	"image"
)

// orientation is how a stored picture is to be turned to be upright: the value of Exif tag 0x0112 (Exif 2.32, section
// 4.6.4), 1 to 8.
type orientation uint16

const upright orientation = 1

// swapsSides tells that the stored picture lies on its side.
func (o orientation) swapsSides() bool { return o >= 5 }

// upright turns a stored picture.
func (o orientation) upright(stored *image.NRGBA) *image.NRGBA {
	if o == upright {
		return stored
	}
	size := stored.Bounds().Size()
	turned := image.NewNRGBA(image.Rectangle{Max: size})
	if o.swapsSides() {
		turned = image.NewNRGBA(image.Rect(0, 0, size.Y, size.X))
	}
	right, bottom := size.X-1, size.Y-1
	for y := range size.Y {
		for x := range size.X {
			c := stored.NRGBAAt(x, y)
			switch o {
			case 2:
				turned.SetNRGBA(right-x, y, c)
			case 3:
				turned.SetNRGBA(right-x, bottom-y, c)
			case 4:
				turned.SetNRGBA(x, bottom-y, c)
			case 5:
				turned.SetNRGBA(y, x, c)
			case 6:
				turned.SetNRGBA(bottom-y, x, c)
			case 7:
				turned.SetNRGBA(bottom-y, right-x, c)
			case 8:
				turned.SetNRGBA(y, right-x, c)
			}
		}
	}
	return turned
}

// exifOrientation returns the orientation that a JPEG's Exif data gives, upright if there is none that makes sense.
func exifOrientation(file []byte) orientation {
	const tag, short = 0x0112, 3
	tiff := exif(file)
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	if bytes.HasPrefix(tiff, []byte("II")) {
		order = binary.LittleEndian
	}
	offset := uint64(order.Uint32(tiff[4:]))
	if offset+2 > uint64(len(tiff)) {
		return upright
	}
	directory := tiff[offset:]
	entries := directory[2:]
	for range order.Uint16(directory) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			break
		}
		entries = entries[12:]
	}
	return upright
}

// exif returns the TIFF structure in a JPEG's Exif segment, or nil. Segments are a marker, 0xff and a kind, and their
// length, which counts itself; picture data follows the start-of-scan segment (ITU-T T.81, annex B).
func exif(file []byte) []byte {
	const startOfScan, app1 = 0xda, 0xe1
	for rest := file[2:]; len(rest) >= 4 && rest[0] == 0xff && rest[1] != startOfScan; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < 2 || 2+length > len(rest) {
			return nil
		}
		segment := rest[4 : 2+length]
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok && rest[1] == app1 {
			return tiff
		}
		rest = rest[2+length:]
	}
	return nil
}
