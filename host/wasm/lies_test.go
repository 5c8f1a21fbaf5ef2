package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/host/runtime/frame"
	"countersign/host/runtime/limits"
)

// fixedReply is a module that answers every call with the same body.
func fixedReply(body string) assembly {
	return reply(string(frame.AppendReply(nil, 0, frame.Reply{Body: []byte(body)})))
}

// reply is a module that answers with the bytes of data.
func reply(data string) assembly {
	return assembly{data: data, handle: i64Const(1024, uint32(len(data)))}
}

func TestLiesOfGuests(t *testing.T) {
	adder := loadGuest(t, "adder", Options{})
	ok := string(frame.AppendReply(nil, 0, frame.Reply{Body: []byte("{}")}))
	calls := [][2]string{{importModule, "call"}, {importModule, "read_reply"}}
	// call runs the import with these arguments and answers with the data.
	call := func(name, nameLen, request, requestLen int32) []byte {
		code := slices.Concat(i32Const(name), i32Const(nameLen), i32Const(request), i32Const(requestLen),
			[]byte{0x42, 0, opCall, 0, opDrop})
		return append(code, i64Const(1024, uint32(len(ok)))...)
	}
	readReply := func(at int32) []byte {
		return slices.Concat(i32Const(at), []byte{opCall, 1}, i64Const(1024, uint32(len(ok))))
	}
	tests := []struct {
		name   string
		module assembly
		code   countersign.Code
		reason string
	}{
		{"honest", reply(ok), "", ""},
		{"reply overlaps the request", assembly{data: ok, alloc: i32Const(1024), handle: i64Const(1024, uint32(len(ok)))},
			countersign.CodeBroken, "no reply"},
		{"buffer outside memory", assembly{alloc: i32Const(65530)}, countersign.CodeBroken, "buffer outside"},
		{"buffer at the end of addresses", assembly{alloc: i32Const(-1)}, countersign.CodeBroken, "buffer outside"},
		{"no buffer", assembly{alloc: i32Const(0)}, countersign.CodeOutOfMemory, "no room"},
		{"reply outside memory", assembly{handle: i64Const(65530, 100)}, countersign.CodeBroken, "reply lies outside"},
		{"reply wraps around", assembly{handle: i64Const(0xfffffff0, 0xffffffff)},
			countersign.CodeBroken, "reply lies outside"},
		{"reply of nothing", assembly{handle: i64Const(0, 0)}, countersign.CodeBroken, "no header"},
		{"reply of all memory", assembly{handle: i64Const(0, 65536)}, countersign.CodeTooLarge, "32768"},
		{"reply cut off", reply(ok[:len(ok)-1]), countersign.CodeBroken, "cut off"},
		{"reply too long", reply(ok + "x"), countersign.CodeBroken, "too many"},
		{"reply of another version", reply("\x02" + ok[1:]), countersign.CodeBroken, "version 2"},
		{"reply to another stream", reply(ok[:4] + "\x07" + ok[5:]), countersign.CodeBroken, "no reply"},
		{"reply with a huge field", reply(ok[:8] + "\xff\xff\xff\xff" + ok[12:]), countersign.CodeBroken, "cut off"},
		{"code that is not a function's",
			reply(string(frame.AppendReply(nil, 0, frame.Reply{Code: "unverified", Message: "x"}))),
			countersign.CodeBroken, "not a function's to use"},
		{"callee outside memory", assembly{imports: calls, data: ok, handle: call(65535, 10, 0, 0)},
			countersign.CodeBroken, "callee outside"},
		{"callee with a long name", assembly{imports: calls, data: ok, handle: call(0, 64, 0, 0)},
			countersign.CodeBroken, "too long"},
		{"request outside memory", assembly{imports: calls, data: ok, handle: call(0, 1, 1, -1)},
			countersign.CodeBroken, "request outside"},
		{"honest call", assembly{imports: calls, data: ok, handle: call(0, 1, 0, 0)}, "", ""},
		{"reply that was not asked for", assembly{imports: calls, data: ok, handle: readReply(0)},
			countersign.CodeBroken, "did not make"},
		{"trap", assembly{handle: []byte{opUnreachable}}, countersign.CodePanicked, "unreachable"},
		{"read outside memory", assembly{handle: append(i32Const(-8), 0x29, 3, 0)}, countersign.CodeBroken, "out of bounds"},
		{"endless recursion", assembly{extra: []byte{opCall, 4}, handle: append([]byte{opCall, 4}, i64Const(0, 0)...)},
			countersign.CodeOutOfMemory, "stack overflow"},
		{"endless loop", assembly{handle: append([]byte{opLoop, blockEmpty, 0x0c, 0, opEnd}, i64Const(0, 0)...)},
			countersign.CodeDeadline, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := loadModule(t, tt.module.encode(), named("liar", limits.Limits{MaxReply: 32768}))
			timeout := 30 * time.Second
			if tt.code == countersign.CodeDeadline {
				timeout = 200 * time.Millisecond
			}
			for range 2 { // the second meets a new sandbox, or the same
				_, err := invoke(i, timeout, "{}")
				if tt.code == "" {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				if failure := wantCode(t, err, tt.code); !strings.Contains(failure.Reason, tt.reason) {
					t.Errorf("reason %q does not contain %q", failure.Reason, tt.reason)
				}
			}
			mustAdd(t, adder)
		})
	}
}

func TestModulesThatAreRefused(t *testing.T) {
	good := fixedReply("{}").encode()
	tests := []struct {
		name   string
		module []byte
		reason ModuleReason
		detail string
	}{
		{"empty", nil, ReasonMalformed, "does not begin"},
		{"text", []byte("#!/bin/sh\nexit 0\n"), ReasonMalformed, "does not begin"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), ReasonMalformed, "does not begin"},
		{"nothing in it", good[:8], ReasonMalformed, "no types"},
		{"cut off", good[:len(good)-3], ReasonMalformed, "beyond its end"},
		{"no alloc", assembly{omit: exportAlloc}.encode(), ReasonExport, exportAlloc},
		{"no handle", assembly{omit: exportHandle}.encode(), ReasonExport, exportHandle},
		{"no describe", assembly{omit: exportDescribe}.encode(), ReasonExport, exportDescribe},
		{"no initialize", assembly{omit: "_initialize"}.encode(), ReasonExport, "reactor"},
		{"no memory", assembly{omit: exportMemory}.encode(), ReasonExport, "memory"},
		{"handle of another type", assembly{exports: map[string]export{exportHandle: {0, 0}}}.encode(),
			ReasonExport, "another type"},
		{"handle is a memory", assembly{exports: map[string]export{exportHandle: {2, 0}}}.encode(),
			ReasonExport, exportHandle},
		{"alloc of no function", assembly{exports: map[string]export{exportAlloc: {0, 99}}}.encode(),
			ReasonExport, "another type"},
		{"reserved name", assembly{exports: map[string]export{exportStop: {0, 3}}}.encode(), ReasonExport, "reserved"},
		{"version 2", assembly{omit: exportHandle,
			exports: map[string]export{"countersign_v2_handle": {0, 1}}}.encode(), ReasonABIVersion, "version 1 alone"},
		{"import of another module", assembly{imports: [][2]string{{"env", "call"}}}.encode(), ReasonImport, `"env"`},
		{"unknown import", assembly{imports: [][2]string{{importModule, "open"}}}.encode(), ReasonImport, `"open"`},
		{"second import unknown",
			assembly{imports: [][2]string{{importModule, "read_reply"}, {importModule, "calls"}}}.encode(),
			ReasonImport, `"calls"`},
		{"unknown part of WASI", assembly{imports: [][2]string{{wasiModule, "sock_connect"}},
			handle: i64Const(0, 0)}.encode(), ReasonImport, "sock_connect"},
		{"start function", assembly{start: true}.encode(), ReasonInitialize, "start function"},
		{"more memory than allowed", assembly{pages: 40, handle: i64Const(0, 0)}.encode(), ReasonMemory, "2621440"},
		{"code of wrong types", assembly{handle: i32Const(0)}.encode(), ReasonMalformed, "does not compile"},
		{"unknown instruction", assembly{handle: []byte{0xff}}.encode(), ReasonMalformed, "0xff"},
		{"growing table", assembly{handle: []byte{0xfc, 15, 0}}.encode(), ReasonMalformed, "0xfc 15"},
		{"code after the end", assembly{handle: []byte{opEnd, 0x01}}.encode(), ReasonMalformed, "after its end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, err := engine.Load(context.Background(), tt.module, named("bad", limits.Limits{Memory: 2 << 20}))
			if err == nil {
				t.Fatal("it was loaded", i.Close(context.Background()))
			}
			var refused *ModuleError
			if !errors.As(err, &refused) || refused.Reason != tt.reason || !strings.Contains(refused.Detail, tt.detail) {
				t.Errorf("got %v, want %s with %q", err, tt.reason, tt.detail)
			}
			if _, err := Describe(context.Background(), tt.module); tt.reason != ReasonMemory && !errors.As(err, &refused) {
				t.Errorf("describing it: %v", err)
			}
		})
	}
}

// FuzzParseModule feeds the parser and the rewriter with anything; they must not panic.
func FuzzParseModule(f *testing.F) {
	f.Add(fixedReply("{}").encode())
	f.Add(assembly{handle: append([]byte{opLoop, blockEmpty, 0x0c, 0, opEnd}, i64Const(0, 0)...)}.encode())
	f.Add(assembly{imports: [][2]string{{importModule, "call"}}}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseModule(data)
		if err != nil {
			return
		}
		if _, err := m.instrument(); err != nil {
			var refused *ModuleError
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
		}
	})
}
