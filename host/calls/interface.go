package calls

import (
	"slices"
	"strings"
	"sync"

	"countersign"
	"countersign/interfaces"
)

// faces are what an instance looks like to its callers, and what the functions that it calls looked like when its code
// was built. They come from the attested artifact.
type faces struct {
	own    *interfaces.Interface
	digest string // of own
	built  map[string]face
}

// face is the interface of a callee.
type face struct {
	*interfaces.Interface
	digest  string
	encoded []byte
}

// facesOf prepares an interface document; that of an instance without one fits only those that say nothing.
func facesOf(d *interfaces.Document) faces {
	if d == nil {
		return faces{}
	}
	f := faces{own: &d.Interface, digest: d.Digest(), built: map[string]face{}}
	for callee, i := range d.Calls {
		f.built[callee] = face{i, i.Digest(), i.Encode()}
	}
	return f
}

// InterfaceDigest implements router.Instance.
func (in *Instance) InterfaceDigest() string { return in.faces.digest }

// BuiltWith implements link.Caller.
func (in *Instance) BuiltWith(digest string) []byte {
	return in.faces.builtAs(digest).encoded
}

// builtAs returns the interface with a digest that the code was built with, the zero face if there is none.
func (f faces) builtAs(digest string) face {
	for _, b := range f.built {
		if b.digest == digest {
			return b
		}
	}
	return face{}
}

// serves says why calls that were built with an interface are not understood here as they were meant; nil if they are.
func (in *Instance) serves(built *interfaces.Interface) error {
	if in.faces.own == nil {
		return countersign.Errorf(countersign.CodeInterfaceMismatch, in.Function(), "the instance has no interface document")
	}
	differences := in.faces.own.Serves(built)
	if len(differences) == 0 {
		return nil
	}
	const most = 4
	var list []string
	for _, d := range differences[:min(most, len(differences))] {
		list = append(list, d.String())
	}
	if len(differences) > most {
		list = append(list, "…")
	}
	return countersign.Errorf(countersign.CodeInterfaceMismatch, in.Function(), "%s", strings.Join(list, "; "))
}

// Serves implements link.Callee.
func (l linked) Serves(document []byte) (string, error) {
	built, err := interfaces.ParseInterface(document)
	if err != nil {
		return "", err
	}
	return built.Digest(), l.serves(built)
}

// fits tells whether a call with an interface digest is understood here. from is the caller if it is on this host.
func (in *Instance) fits(digest string, from *Instance) error {
	if digest == in.faces.digest {
		return nil
	}
	if digest == "" {
		return countersign.Errorf(countersign.CodeInterfaceMismatch, in.Function(), "the caller was not built with any interface of function %q",
			in.Function())
	}
	if from != nil {
		if known, ok := in.verdicts.Load(digest); ok {
			err, _ := known.(error)
			return err
		}
		if built := from.faces.builtAs(digest); built.Interface != nil {
			err := in.serves(built.Interface)
			in.verdicts.Store(digest, verdict(err))
			return err
		}
	}
	return countersign.Errorf(countersign.CodeInterfaceMismatch, in.Function(), "the caller was built with interface %s, this instance has %s",
		countersign.Short(digest), countersign.Short(in.faces.digest))
}

// verdict keeps a nil error from being a nil value, which a sync.Map could not tell from none.
func verdict(err error) any {
	if err == nil {
		return true
	}
	return err
}

// FromOutside tells whether a client's call is understood here: it says nothing of an interface, or names this one.
func (in *Instance) FromOutside(digest string) error {
	if digest == "" {
		return nil
	}
	return in.fits(digest, nil)
}

// misfits remembers which interfaces of callees did not fit those that an instance was built with, so that the router
// need not try them again. The zero value is ready to use.
type misfits struct {
	mu  sync.RWMutex
	met []misfit
}

type misfit struct{ built, met string }

// maxMisfits is how many are remembered: a few for each callee, while releases with other interfaces are rolled out.
const maxMisfits = 256

// add remembers that built and met do not fit. What is the same always fits, whatever a host says.
func (m *misfits) add(built, met string) {
	if met == "" || met == built || m.has(built, met) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.met) == maxMisfits {
		m.met = slices.Delete(m.met, 0, 1)
	}
	m.met = append(m.met, misfit{built, met})
}

func (m *misfits) has(built, met string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Contains(m.met, misfit{built, met})
}

// fits is the Fits of a router's query of a caller that was built with an interface; nil if nothing is known.
func (m *misfits) fits(built string) func(string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !slices.ContainsFunc(m.met, func(x misfit) bool { return x.built == built }) {
		return nil
	}
	return func(met string) bool { return !m.has(built, met) }
}
