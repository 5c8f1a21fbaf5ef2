// Package testrun runs commands that test, side by side, and reads what go test prints. It owns the processes that it
// starts: they are asked to end when the run is to end, then made to, and nothing of them is left. It must not know what
// is tested.
package testrun
