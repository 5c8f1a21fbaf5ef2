package publish

import (
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// program is the header of an ELF file, with one segment.
func program(machine elf.Machine, kind elf.Type, segment elf.ProgType) []byte {
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], uint16(kind))
	le.PutUint16(b[18:], uint16(machine))
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], 64) // segments
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint16(b[58:], 64)
	le.PutUint32(b[64:], uint32(segment))
	return b
}

func TestCheckExecutables(t *testing.T) {
	good := program(elf.EM_X86_64, elf.ET_EXEC, elf.PT_LOAD)
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"good":            {good, ""},
		"a script":        {[]byte("#!/bin/sh\n"), "not an ELF file"},
		"another machine": {program(elf.EM_AARCH64, elf.ET_EXEC, elf.PT_LOAD), "it is for EM_AARCH64"},
		"an object file":  {program(elf.EM_X86_64, elf.ET_REL, elf.PT_LOAD), "it is no program"},
		"dynamic":         {program(elf.EM_X86_64, elf.ET_DYN, elf.PT_INTERP), "not static"},
		"cut off":         {good[:60], "not an ELF file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkExecutables(map[string][]byte{"linux/amd64": tc.content})
			if got := err != nil; got != (tc.want != "") || got && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
		})
	}
}
