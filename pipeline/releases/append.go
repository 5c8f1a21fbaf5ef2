package releases

import (
	"context"
	"fmt"
	"time"

	"countersign"

	"countersign/artifact"
	"countersign/pipeline/failure"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// Settle returns the latest record after it finished what an interrupted deploy began: the pointer in Consul, the tag in the
// registry, a signature by the latest version of the key. The caller holds the deploy lock.
func (l *Ledger) Settle(ctx context.Context) (*Entry, error) {
	if _, err := l.Keys.EnsureKey(ctx, countersign.ReleaseKey); err != nil {
		return nil, err
	}
	f, err := l.find(ctx)
	if err != nil || f.entry == nil {
		return nil, err
	}
	if !f.tagged {
		if err := l.tag(ctx, f.entry); err != nil {
			return nil, err
		}
	}
	if !f.pointed {
		if err := l.point(ctx, f.entry, f.index); err != nil {
			return nil, err
		}
	}
	ring, err := l.Keys.PublicKeys(ctx, countersign.ReleaseKey)
	if err != nil {
		return nil, err
	}
	if f.entry.Key.Version < ring.Latest() { // when that version is retired, the record has to count all the same
		err = l.sign(ctx, f.entry)
	}
	return f.entry, err
}

// Append makes record the one after head, which Settle has returned, and keeps it. What is interrupted before Consul points
// to it is no record; what is interrupted after that is finished by the next Settle. The error is a *failure.ConflictError
// that names who was first if another record was.
func (l *Ledger) Append(ctx context.Context, head *Entry, record *release.Record) (*Entry, error) {
	_, index, err := l.Pointer.ReadHead(ctx, l.Environment)
	if err != nil {
		return nil, err
	}
	record.Environment, record.Number, record.Parent = l.Environment, 1, ""
	record.Created = time.Now().UTC().Truncate(time.Second)
	if head != nil {
		record.Number, record.Parent = head.Number+1, head.Digest
	}
	if record.Action == release.ActionRollback {
		record.TakesBack = record.Number - 1
	}
	src, err := record.Encode()
	if err != nil {
		return nil, err
	}
	e := &Entry{Record: record}
	if e.Digest, err = record.Digest(); err != nil {
		return nil, err
	}
	if e.Manifest, err = artifact.PushRecord(ctx, l.Store, src); err != nil {
		return nil, err
	}
	if err := l.sign(ctx, e); err != nil {
		return nil, err
	}
	if now, err := l.Head(ctx); err != nil {
		return nil, err
	} else if now != nil && (head == nil || now.Digest != head.Digest) {
		return nil, conflict(now)
	}
	if err := l.point(ctx, e, index); err != nil {
		return nil, err
	}
	return e, l.tag(ctx, e)
}

// sign has the latest version of the key state what a record is.
func (l *Ledger) sign(ctx context.Context, e *Entry) error {
	bundle, err := attest.SignRelease(ctx, l.Signer, e.statement())
	if err != nil {
		return err
	}
	if err := artifact.AttachBundle(ctx, l.Store, l.Repository.WithDigest(e.Manifest), bundle, attest.ReleaseType); err != nil {
		return err
	}
	return l.verify(ctx, e)
}

// point has Consul point to a record, unless the pointer was changed since it had index.
func (l *Ledger) point(ctx context.Context, e *Entry, index uint64) error {
	ok, err := l.Pointer.WriteHead(ctx, l.Environment, Head{e.Number, e.Digest, e.Manifest}, index)
	if err != nil || ok {
		return err
	}
	now, err := l.Head(ctx)
	if err != nil || now == nil {
		return &failure.ConflictError{What: "Consul's pointer to the latest release was changed meanwhile", Advice: "run the same command again"}
	}
	return conflict(now)
}

// conflict names who was first.
func conflict(now *Entry) error {
	return &failure.ConflictError{
		What:   fmt.Sprintf("release %d was recorded meanwhile", now.Number),
		Holder: fmt.Sprintf("%s (%s)", now.Deployer.Name(), now.Created.Format(time.RFC3339)),
		Advice: "`countersign releases` tells more; run the same command again",
	}
}

// tag gives a record its tag.
func (l *Ledger) tag(ctx context.Context, e *Entry) error {
	if err := artifact.Tag(ctx, l.Store, l.Repository.WithDigest(e.Manifest), release.Tag(e.Number)); err != nil {
		return fmt.Errorf("release %d is recorded, and the next deploy tags it: %w", e.Number, err)
	}
	return nil
}
