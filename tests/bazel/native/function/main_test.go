package main

import "testing"

func TestEcho(t *testing.T) {
	got, err := echo.Call(t.Context(), message{Text: "hello"})
	if err != nil || got.Text != "hello" {
		t.Errorf("got %+v, %v", got, err)
	}
}
