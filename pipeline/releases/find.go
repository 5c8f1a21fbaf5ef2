package releases

import (
	"context"
	"errors"
	"fmt"

	"countersign"
	"countersign/artifact"
	"countersign/release"
)

// found is what was found of the latest record.
type found struct {
	entry   *Entry // nil if there is none yet
	index   uint64 // of the pointer
	pointed bool   // Consul points to it
	tagged  bool   // the registry has it under its tag
}

// Head returns the latest record, verified; nil if nothing was recorded yet. It changes nothing.
func (l *Ledger) Head(ctx context.Context) (*Entry, error) {
	f, err := l.find(ctx)
	return f.entry, err
}

// find looks for the latest record where Consul points to, and in the registry. What either of the two has and the other
// lacks is what an interrupted deploy left, or a Consul that was restored or lost. The signature of the latest is verified
// before it is followed to those before it, which it vouches for by the digests.
func (l *Ledger) find(ctx context.Context) (f found, err error) {
	head, index, err := l.Pointer.ReadHead(ctx, l.Environment)
	if err != nil {
		return f, err
	}
	f.index = index
	last, err := l.lastTag(ctx)
	if err != nil {
		return f, err
	}
	if head == nil && last == 0 {
		return f, nil
	}
	if head != nil {
		if f.entry, f.tagged, err = l.pointed(ctx, *head, last); err != nil {
			return f, err
		}
		f.pointed = true
	}
	if f.entry == nil || last > f.entry.Number {
		if f.entry, err = l.climb(ctx, f.entry, last); err != nil {
			return f, err
		}
		f.pointed, f.tagged = false, true
		return f, nil
	}
	return f, l.verify(ctx, f.entry)
}

// lastTag returns the highest number that the registry has a tag of, or 0.
func (l *Ledger) lastTag(ctx context.Context) (last int, err error) {
	tags, err := artifact.Tags(ctx, l.Store, l.Repository, release.TagPrefix)
	for _, tag := range tags {
		if number, ok := release.ParseTag(tag); ok {
			last = max(last, number)
		}
	}
	return last, err
}

// pointed reads the record that Consul points to. A deploy that was interrupted right after it had Consul point there has
// not tagged it.
func (l *Ledger) pointed(ctx context.Context, head Head, last int) (e *Entry, tagged bool, err error) {
	refuse := func(err error) (*Entry, bool, error) {
		return nil, false, &RefusedError{
			What: fmt.Sprintf("Consul points to record %d of environment %s, which the registry does not have like that", head.Number, l.Environment), Err: err,
			Advice: "either of the two was changed: if the registry is right, delete Consul's key countersign/releases/" + l.Environment +
				", and the records are found again from the registry alone",
		}
	}
	if e, err = l.read(ctx, head.Manifest, head.Number); err != nil {
		if errors.Is(err, artifact.ErrNotFound) || countersign.IsUnverified(err) {
			return refuse(err)
		}
		return nil, false, err
	}
	if e.Digest != head.Record {
		return refuse(fmt.Errorf("it is %s, not %s", e.Digest, head.Record))
	}
	if last < head.Number {
		return e, false, nil
	}
	t, err := l.tagged(ctx, head.Number)
	switch {
	case errors.Is(err, artifact.ErrNotFound): // a later one is there: the tag was deleted
		return refuse(fmt.Errorf("its tag %s is missing, and %s is there", release.Tag(head.Number), release.Tag(last)))
	case countersign.IsUnverified(err):
		return refuse(err)
	case err != nil:
		return nil, false, err
	case t.Digest != e.Digest || t.Manifest != e.Manifest:
		return refuse(fmt.Errorf("the tag %s names another one", release.Tag(head.Number)))
	}
	return e, true, nil
}

// climb verifies the signature of last and the chain from below, which may be nil, up to last, and returns that.
func (l *Ledger) climb(ctx context.Context, below *Entry, last int) (*Entry, error) {
	e, err := l.tagged(ctx, last)
	if err != nil {
		return nil, l.missing(err, last, last)
	}
	if err := l.verify(ctx, e); err != nil { // first: whoever may write the registry could make the way down as long as he likes
		return nil, err
	}
	least := 1
	if below != nil {
		least = below.Number
	}
	lowest, err := l.descend(ctx, e, least, nil)
	if err != nil {
		return nil, err
	}
	if below != nil && lowest.Digest != below.Digest {
		return nil, &RefusedError{
			What:   fmt.Sprintf("the registry's record %d does not go back to record %d that Consul points to", last, below.Number),
			Advice: "somebody else's record is in " + l.Repository.String() + ": look at its tags, and delete those that are not yours",
		}
	}
	return e, nil
}

// descend walks down the chain from a record to a number, tells each on the way if each is not nil, and returns the last.
func (l *Ledger) descend(ctx context.Context, from *Entry, least int, each func(*Entry)) (*Entry, error) {
	e := from
	for e.Number > least {
		below, err := l.tagged(ctx, e.Number-1)
		if err != nil {
			return nil, l.missing(err, e.Number-1, from.Number)
		}
		if below.Digest != e.Parent {
			return nil, &RefusedError{What: fmt.Sprintf("the tag %s names a record that is not the one before record %d: it is %s, not %s",
				release.Tag(below.Number), e.Number, below.Digest, e.Parent), Advice: "the tag was moved"}
		}
		if each != nil {
			each(below)
		}
		e = below
	}
	return e, nil
}

// missing tells a gap from a registry that did not answer.
func (l *Ledger) missing(err error, number, last int) error {
	if errors.Is(err, artifact.ErrNotFound) {
		return &RefusedError{What: fmt.Sprintf("record %d of environment %s is missing in %s, and record %d is there", number, l.Environment,
			l.Repository, last), Err: err, Advice: "restore the registry, or delete the tags above the gap if they are not yours"}
	}
	return err
}

// History returns the latest records, the latest first, at most n of them; 0: all. It is verified that each is the one that
// the next names, and the signature of the first.
func (l *Ledger) History(ctx context.Context, n int) ([]*Entry, error) {
	head, err := l.Head(ctx)
	if err != nil || head == nil {
		return nil, err
	}
	least := 1
	if n > 0 {
		least = max(1, head.Number-n+1)
	}
	list := []*Entry{head}
	_, err = l.descend(ctx, head, least, func(e *Entry) { list = append(list, e) })
	return list, err
}

// UnknownReleaseError says that there is no release of a number.
type UnknownReleaseError struct {
	Environment  string
	Number, Last int // Last is 0 if there is none at all
}

// Error implements error.
func (e *UnknownReleaseError) Error() string {
	if e.Last == 0 {
		return fmt.Sprintf("environment %s has no releases yet: a deploy makes the first", e.Environment)
	}
	return fmt.Sprintf("environment %s has no release %d: they are 1 to %d, `countersign releases` lists them", e.Environment, e.Number, e.Last)
}

// Get returns a record, reached from the latest one.
func (l *Ledger) Get(ctx context.Context, number int) (*Entry, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head == nil || number < 1 || number > head.Number {
		e := &UnknownReleaseError{Environment: l.Environment, Number: number}
		if head != nil {
			e.Last = head.Number
		}
		return nil, e
	}
	return l.descend(ctx, head, number, nil)
}
