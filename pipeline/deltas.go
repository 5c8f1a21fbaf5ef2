package pipeline

import (
	"context"
	"slices"

	"countersign/pipeline/publish"
)

// deltas has deltas made of what is new: from what runs, and from what releases before had, as many as the environment says.
func (d *deploy) deltas(ctx context.Context) error {
	most := d.environment.Registry.Deltas
	fresh := slices.ContainsFunc(d.publication.Functions(), (*publish.Function).Fresh)
	if most == 0 || d.recorder == nil || !fresh {
		return nil
	}
	earlier := map[string][]string{}
	add := func(name, digest, now string) {
		if list := earlier[name]; digest != "" && digest != now && len(list) < most && !slices.Contains(list, digest) {
			earlier[name] = append(list, digest)
		}
	}
	for _, f := range d.publication.Functions() {
		add(f.Name, d.running[f.Name].ArtifactDigest, f.Artifact.Digest)
	}
	if most > 1 {
		history, err := d.recorder.ledger.History(ctx, horizon)
		if err != nil && ctx.Err() != nil {
			return err
		} // otherwise what runs is enough: no deploy fails for want of deltas
		for _, e := range history {
			for _, f := range d.publication.Functions() {
				add(f.Name, e.Functions[f.Name].ArtifactDigest, f.Artifact.Digest)
			}
		}
	}
	return d.publication.Deltas(ctx, earlier)
}
