package host

import (
	goruntime "runtime"

	"countersign/host/runtime"
)

// platform is what native executables are chosen by, as in an artifact: linux/amd64 or linux/arm64.
const platform = goruntime.GOOS + "/" + goruntime.GOARCH

// started keeps an instance that is nil from looking like one.
func started[I runtime.Instance](in I, err error) (runtime.Instance, error) {
	if err != nil {
		return nil, err
	}
	return in, nil
}
