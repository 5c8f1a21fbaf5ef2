package repositories

import (
	"context"
	"strconv"
	"strings"
	"time"

	"countersign/git"
)

// maxCommits is how many commits are told of.
const maxCommits = 20

// Commit is a commit of a team's.
type Commit struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"` // as its author wrote it: not to be printed as it is
}

// Change is what moving a pin changes.
type Change struct {
	From string `json:"from"`
	To   string `json:"to"`
	// What To has and From has not, the newest first: at most the latest 20 of Ahead.
	Commits []Commit `json:"commits"`
	Ahead   int      `json:"ahead"`
	// What From has and To has not, which would be taken back; the same.
	Undone []Commit `json:"undone"`
	Behind int      `json:"behind"`
	Notes  []string `json:"notes"` // what is different for others
}

// Between returns the commits of a function's repository from one to another; nil if the function is not pinned here, or its
// repository at another remote.
func (d *Deployment) Between(ctx context.Context, function, remote, from, to string) (*Change, error) {
	e, ok := d.file.Of(function)
	if !ok || e.Remote != remote {
		return nil, nil
	}
	clone, err := d.clone(e)
	if err != nil {
		return nil, err
	}
	for _, commit := range []string{from, to} {
		if err := clone.Ensure(ctx, commit); err != nil {
			return nil, err
		}
	}
	return between(ctx, clone.Repository, from, to)
}

// between returns the commits from one to another.
func between(ctx context.Context, of git.Repository, from, to string) (*Change, error) {
	c := &Change{From: from, To: to, Notes: []string{}}
	var err error
	if c.Commits, c.Ahead, err = commits(ctx, of, from, to); err == nil {
		c.Undone, c.Behind, err = commits(ctx, of, to, from)
	}
	return c, err
}

// commits returns what is in the history of to and not of from.
func commits(ctx context.Context, of git.Repository, from, to string) (list []Commit, count int, err error) {
	list = []Commit{}
	if from == to {
		return list, 0, nil
	}
	out, err := of.Run(ctx, "rev-list", "--count", to, "^"+from, "--")
	if err != nil {
		return nil, 0, err
	}
	if count, err = strconv.Atoi(out); err != nil || count == 0 {
		return list, 0, err
	}
	out, err = of.Run(ctx, "log", "-z", "--no-show-signature", "--no-color", "--encoding=UTF-8", "--format=%H %ct %s",
		"-n", strconv.Itoa(maxCommits), to, "^"+from, "--")
	if err != nil {
		return nil, 0, err
	}
	for line := range strings.SplitSeq(strings.Trim(out, "\x00"), "\x00") {
		id, rest, _ := strings.Cut(line, " ")
		at, subject, _ := strings.Cut(rest, " ")
		seconds, _ := strconv.ParseInt(at, 10, 64)
		if seconds < 0 || seconds > 253402300799 { // JSON has four digits for the year
			seconds = 0
		}
		list = append(list, Commit{id, time.Unix(seconds, 0).UTC(), strings.ToValidUTF8(subject, "?")})
	}
	return list, count, nil
}
