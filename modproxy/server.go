package modproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/module"

	"countersign/git"
)

const (
	// builds is how many requests are worked on at a time; the others wait.
	builds       = 8
	buildTimeout = 5 * time.Minute
	maxPath      = 1 << 10
)

// Server answers the go command. Make it with NewServer.
type Server struct {
	source *Source
	cache  string
	tell   func(string)

	slots chan struct{}
	table atomic.Pointer[table]

	reloading sync.Mutex
	text      texts     // that table was made of
	loaded    time.Time // the last attempt
}

// NewServer reads the pins and fetches what is missing of the repositories. cache is a directory for clones, which several
// processes may share. tell is given what a person should know.
func NewServer(ctx context.Context, source *Source, cache string, tell func(string)) (*Server, error) {
	s := &Server{source: source, cache: cache, tell: tell, slots: make(chan struct{}, builds)}
	return s, s.load(ctx)
}

// Paths returns the paths of the modules that are served.
func (s *Server) Paths() []string { return s.table.Load().paths() }

// load makes the table anew if the pins are others than before.
func (s *Server) load(ctx context.Context) error {
	s.loaded = time.Now()
	text, err := s.source.read(ctx)
	if err != nil {
		return err
	}
	if t := s.table.Load(); t != nil && text.equal(s.text) && (len(t.names) == 0 || time.Since(t.made) < git.RefetchAfter) {
		return nil
	}
	pins, err := ParsePins(fileName, text.pins, text.product)
	if err != nil {
		return err
	}
	t := newTable(ctx, s.cache, s.source.base(), pins, s.tell)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !text.equal(s.text) {
		for _, notice := range t.notices {
			s.tell("not served: " + notice)
		}
	}
	s.text = text
	s.table.Store(t)
	return nil
}

// current returns the table, made anew if the pins may have moved. When they can't be read, what was read before counts.
func (s *Server) current(ctx context.Context) *table {
	if !s.reloading.TryLock() {
		return s.table.Load()
	}
	defer s.reloading.Unlock()
	if time.Since(s.loaded) >= s.source.refresh() {
		if err := s.load(ctx); err != nil && ctx.Err() == nil {
			s.tell(fmt.Sprintf("the pins are those of before: %v", err))
		}
	}
	return s.table.Load()
}

// ServeHTTP answers a request of the GOPROXY protocol. 404 sends the go command on to its next proxy; for a module that is
// served here no answer does, since another proxy could give out something else under its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this proxy is read only", http.StatusMethodNotAllowed)
		return
	}
	if !forLoopback(r) {
		http.Error(w, "asked for by the name "+r.Host+", which is not this machine's", http.StatusForbidden)
		return
	}
	path, query, ok := split(r.URL.Path)
	if !ok {
		http.Error(w, "not a path of a module", http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), buildTimeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
		return
	}
	a, err := s.answer(ctx, path, query)
	<-s.slots // before the answer is sent: a client that takes its time holds up nobody
	if err != nil {
		s.refuse(w, path, err)
		return
	}
	defer a.close()
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Content-Length", fmt.Sprint(a.size))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, a.content) // the client has gone
	}
}

// forLoopback tells whether a request that came over the loopback interface was meant for it. A web page can have a
// browser ask here, under a name of its own that leads to this machine, and would be given the answer.
func forLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	tcp, ok := local.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// split returns module path and query of a URL's path: "list", "latest", or a version and its extension.
func split(url string) (path, query string, ok bool) {
	if len(url) > maxPath {
		return "", "", false
	}
	url = strings.TrimPrefix(url, "/")
	if escaped, found := strings.CutSuffix(url, "/@latest"); found {
		path, err := module.UnescapePath(escaped)
		return path, "latest", err == nil
	}
	escaped, query, found := strings.Cut(url, "/@v/")
	if !found {
		return "", "", false
	}
	path, err := module.UnescapePath(escaped)
	if err != nil {
		return "", "", false
	}
	query, err = module.UnescapeVersion(query)
	return path, query, err == nil
}

var errNotOurs = errors.New("not a module of a pinned repository")

func (s *Server) refuse(w http.ResponseWriter, path string, err error) {
	status := http.StatusBadGateway
	var unknown *unknownError
	switch {
	case errors.Is(err, errNotOurs):
		status = http.StatusNotFound
	case git.IsRefusal(err) || errors.As(err, &unknown):
		status = http.StatusForbidden
	default:
		s.tell(fmt.Sprintf("%s: %v", path, err))
	}
	http.Error(w, fmt.Sprintf("countersign modproxy: %s: %v", path, err), status)
}

// answer is what is sent.
type answer struct {
	contentType string
	size        int64
	content     io.Reader
	close       func()
}

func text(contentType string, b []byte) *answer {
	return &answer{contentType, int64(len(b)), bytes.NewReader(b), func() {}}
}

func (s *Server) answer(ctx context.Context, path, query string) (*answer, error) {
	m, err := s.current(ctx).find(path)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNotOurs
	}
	if query == "list" {
		tags, err := m.tags(ctx, "--merged", m.clone.pin.Commit)
		if err != nil {
			return nil, err
		}
		return text("text/plain; charset=utf-8", []byte(strings.Join(append(tags, ""), "\n"))), nil
	}
	version, extension := pinnedQuery, ".info"
	if query != "latest" {
		dot := strings.LastIndexByte(query, '.')
		if dot < 0 {
			return nil, git.Refusef("%q is not .info, .mod or .zip of a version", query)
		}
		version, extension = query[:dot], query[dot:]
	}
	r, err := m.resolve(ctx, version)
	if unknown := (*unknownError)(nil); errors.As(err, &unknown) {
		if err := m.clone.Refetch(ctx); err != nil {
			return nil, fmt.Errorf("%v so far; to look again: %w", unknown, err)
		}
		r, err = m.resolve(ctx, version)
	}
	if err != nil {
		return nil, err
	}
	return s.file(ctx, m, version, r, extension)
}

// file returns what is asked for of a version.
func (s *Server) file(ctx context.Context, m *Module, version string, r revision, extension string) (*answer, error) {
	if extension == ".info" {
		info, err := json.Marshal(struct {
			Version string
			Time    time.Time
		}{r.version, r.time})
		return text("application/json", info), err
	}
	if version != r.version {
		return nil, git.Refusef("%s is version %s; ask for that", version, r.version)
	}
	switch extension {
	case ".mod":
		mod, err := m.goModAt(ctx, r)
		return text("text/plain; charset=utf-8", mod), err
	case ".zip":
		return s.zip(ctx, m, r)
	}
	return nil, git.Refusef("%q is not .info, .mod or .zip", extension)
}

// zip makes a version's zip in a file without a name. A zip is not kept: the go command keeps it.
func (s *Server) zip(ctx context.Context, m *Module, r revision) (*answer, error) {
	file, err := os.CreateTemp(s.cache, ".zip-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name())
	err = m.zip(ctx, r, file)
	var size int64
	if err == nil {
		size, err = file.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &answer{"application/zip", size, file, func() { file.Close() }}, nil
}
