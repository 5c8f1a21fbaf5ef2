// Command licences checks that every Go package that is linked into the product's binaries, the SDK and the example
// functions is under an open-source licence, and keeps docs/licences.md, which names the licence of each module.
//
// It owns which licences are accepted and how their texts are recognised. It judges by the licence file that is nearest
// to a package, going up to the root of its module, since one module can hold packages under several licences.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

// document is the generated file, from the root of the repository, where the command runs.
const document = "docs/licences.md"

func main() {
	check := flag.Bool("check", false, "change nothing, and fail if "+document+" is not current")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	linked, err := listLinked(products())
	if err != nil {
		return err
	}
	modules, err := judge(linked)
	if err != nil {
		return err
	}
	text := render(modules)
	if !check {
		return os.WriteFile(document, text, 0o644)
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is not current; `go run ./tools/licences` writes it", document)
	}
	return nil
}
