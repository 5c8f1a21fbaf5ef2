package main

import (
	"context"
	"fmt"
	"io"

	"countersign"
	"countersign/repositories"
)

const (
	checkoutArgs    = "FUNCTION|REPOSITORY [-dir DIRECTORY] | -list [-json]"
	checkoutSummary = "work on one repository: clone it at its pin, and have Bazel build it from there"
	checkinArgs     = "REPOSITORY [-force] [-keep]"
	checkinSummary  = "end a checkout: Bazel builds the repository from its pin again"
)

func init() {
	register(command{"checkout", checkoutArgs, checkoutSummary, checkout})
	register(command{"checkin", checkinArgs, checkinSummary, checkin})
}

func checkout(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "checkout", checkoutArgs, checkoutSummary+`

bazel build and bazel test then take that repository from the checkout, with all that is not committed, and every other one from
its pin. A deploy is refused meanwhile, unless COUNTERSIGN_CHECKOUTS=off has Bazel pass checkouts over.
`)
	var f pinFlags
	f.register(fs)
	dir := fs.String("dir", "", "`directory` of the checkout (default checkouts/REPOSITORY beside repos.bzl)")
	list := fs.Bool("list", false, "list what is checked out")
	asJSON := fs.Bool("json", false, "print JSON")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case *list && (len(names) > 0 || *dir != ""):
		return &usageError{"-list takes no names, and no -dir"}
	case !*list && len(names) != 1:
		return &usageError{"name one function or repository, or -list"}
	}
	d, err := f.open(s, "checkout")
	if err != nil {
		return err
	}
	if !*list {
		d.Ask()
		c, err := d.Checkout(ctx, names[0], *dir)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(s.out, c, nil)
		}
		fmt.Fprintf(s.out, "%s is checked out in %s, at its pin %s\n", c.Name, c.Dir, countersign.Short(c.Head))
		return nil
	}
	all, err := d.Checkouts(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(s.out, all, nil)
	}
	for _, c := range all {
		printCheckout(s.out, c)
	}
	return nil
}

func printCheckout(w io.Writer, c *repositories.Checkout) {
	fmt.Fprintf(w, "%s  %s\n", c.Name, printable(c.Dir))
	switch {
	case c.AtPin():
		fmt.Fprintf(w, "  at its pin, %s\n", countersign.Short(c.Pinned))
	case c.Head != "":
		pinned := "not pinned any more"
		if c.Pinned != "" {
			pinned = "pinned is " + countersign.Short(c.Pinned)
		}
		fmt.Fprintf(w, "  %s; %s\n", countersign.Short(c.Head), pinned)
	}
	if lost := c.Lost(); lost != "" {
		fmt.Fprintf(w, "  %s\n", printable(lost))
	}
}

func checkin(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "checkin", checkinArgs, checkinSummary+`

The checkout is removed. That is refused while it holds changes that are not committed, or commits that are not pushed.
`)
	var f pinFlags
	f.register(fs)
	force := fs.Bool("force", false, "lose what is not committed or not pushed")
	keep := fs.Bool("keep", false, "leave the directory as it is")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) != 1:
		return &usageError{"name one repository; `countersign checkout -list` lists those that are checked out"}
	}
	d, err := f.open(s, "checkin")
	if err != nil {
		return err
	}
	c, err := d.Checkin(ctx, names[0], *force, *keep)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is built from its pin again", c.Name)
	if c.Pinned != "" {
		fmt.Fprintf(s.out, ", %s", countersign.Short(c.Pinned))
	}
	fmt.Fprintln(s.out)
	if c.Head != "" && c.Pinned != "" && c.Head != c.Pinned {
		fmt.Fprintf(s.out, "  note: the checkout was at %s; `countersign bump %s` pins what is pushed\n", countersign.Short(c.Head), c.Name)
	}
	return nil
}
