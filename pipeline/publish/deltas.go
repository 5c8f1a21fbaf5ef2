package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign"
	"countersign/artifact"
	"countersign/pipeline/progress"
)

// Fresh tells whether this publication put the artifact of a function into the registry.
func (f *Function) Fresh() bool { return f.Published && !f.present }

// deltaTime is how long the deltas of all functions may take: they save time, and must not cost more.
const deltaTime = time.Minute

// Deltas attaches deltas from earlier artifacts of each function, by their digests, so that nodes which have one fetch no more than
// what changed. It fails only if ctx ends: without a delta, nodes fetch the whole artifact.
func (p *Publication) Deltas(ctx context.Context, earlier map[string][]string) error {
	var names []string
	for _, f := range p.functions {
		if f.Fresh() && len(earlier[f.Name]) > 0 {
			names = append(names, f.Name)
		}
	}
	limited, cancel := context.WithTimeout(ctx, deltaTime)
	defer cancel()
	return p.steps.Each(progress.StepDelta, names, func(name string, _ func(string)) (progress.Outcome, error) {
		f := p.byName[name]
		var parts []string
		made := false
		for _, digest := range earlier[name] {
			n, instead, err := artifact.AttachDeltas(limited, f.store, f.Artifact, f.Artifact.WithDigest(digest), f.contents)
			switch {
			case ctx.Err() != nil:
				return progress.Outcome{}, context.Cause(ctx)
			case errors.Is(err, artifact.ErrNotFound):
				parts = append(parts, countersign.Short(digest)+" is not in the registry")
			case err != nil:
				parts = append(parts, fmt.Sprintf("none from %s: %v", countersign.Short(digest), err))
			case n > 0:
				made = true
				parts = append(parts, fmt.Sprintf("%d bytes from %s instead of %d", n, countersign.Short(digest), instead))
			default:
				parts = append(parts, fmt.Sprintf("none from %s: not worth it", countersign.Short(digest)))
			}
		}
		o := progress.Nothing(strings.Join(parts, "; "))
		o.Idle = !made
		return o, nil
	})
}
