package callsig

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"countersign/vaultsign/callsig/internal/sf"
)

// maxFieldBytes bounds the sum of the lines of one field that is looked at.
const maxFieldBytes = 32 << 10

// requestSource yields the components of an HTTP request, on either side of the connection.
type requestSource struct{ r *http.Request }

// responseSource yields the components of an HTTP response and, with ;req, those of the request it answers.
type responseSource struct {
	status  int
	header  http.Header
	request *http.Request
}

// appendValue implements source.
func (s requestSource) appendValue(dst []byte, c *component) ([]byte, error) {
	if c.name[0] == '@' {
		value, err := s.derived(c.name)
		return append(dst, value...), err
	}
	return appendField(dst, s.lines(c.name), c)
}

// derived returns a derived component (RFC 9421 section 2.2).
func (s requestSource) derived(name string) (string, error) {
	switch name {
	case "@method":
		if s.r.Method == "" {
			return http.MethodGet, nil
		}
		return s.r.Method, nil
	case "@path":
		if path := s.r.URL.EscapedPath(); path != "" {
			return path, nil
		}
		return "/", nil
	case "@query":
		return "?" + s.r.URL.RawQuery, nil
	case "@scheme":
		return s.scheme(), nil
	case "@authority":
		return s.authority(), nil
	case "@request-target":
		if s.r.RequestURI != "" {
			return s.r.RequestURI, nil
		}
		return s.r.URL.RequestURI(), nil
	case "@target-uri":
		u := url.URL{
			Scheme: s.scheme(), Host: s.authority(), Path: s.r.URL.Path, RawPath: s.r.URL.RawPath,
			RawQuery: s.r.URL.RawQuery, ForceQuery: s.r.URL.ForceQuery,
		}
		return u.String(), nil
	}
	return "", refuse(ReasonMalformed, "derived component %q is not supported in a request", name)
}

func (s requestSource) scheme() string {
	switch {
	case s.r.URL.Scheme != "":
		return strings.ToLower(s.r.URL.Scheme)
	case s.r.TLS != nil:
		return "https"
	}
	return "http"
}

func (s requestSource) host() string {
	if s.r.Host != "" {
		return s.r.Host
	}
	return s.r.URL.Host
}

// authority returns the normalized host: lower case, without the scheme's default port (RFC 9421 section 2.2.3).
func (s requestSource) authority() string {
	authority := strings.ToLower(s.host())
	host, port, err := net.SplitHostPort(authority)
	if err != nil || port != map[string]string{"http": "80", "https": "443"}[s.scheme()] {
		return authority
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// lines returns a field's lines. net/http keeps two fields outside the header.
func (s requestSource) lines(name string) []string {
	switch name {
	case "host":
		return []string{s.host()}
	case "content-length":
		if lines := s.r.Header.Values(name); len(lines) > 0 || s.r.ContentLength <= 0 {
			return lines
		}
		return []string{strconv.FormatInt(s.r.ContentLength, 10)}
	}
	return s.r.Header.Values(name)
}

// appendValue implements source.
func (s responseSource) appendValue(dst []byte, c *component) ([]byte, error) {
	switch {
	case c.req && s.request == nil:
		return nil, refuse(ReasonMalformed, "the response's request is not known, so %s cannot be verified", c.id)
	case c.req:
		return requestSource{s.request}.appendValue(dst, c)
	case c.name == "@status":
		return strconv.AppendInt(dst, int64(s.status), 10), nil
	case c.name[0] == '@':
		return nil, refuse(ReasonMalformed, "derived component %q is not supported in a response", c.name)
	}
	return appendField(dst, s.header.Values(c.name), c)
}

// appendField appends the value of a field (RFC 9421 section 2.1).
func appendField(dst []byte, lines []string, c *component) ([]byte, error) {
	value, err := combine(c.name, lines)
	switch {
	case err != nil:
		return nil, err
	case c.bs:
		return appendWrapped(dst, lines), nil
	case c.key != "":
		return appendMember(dst, value, c)
	case c.sf:
		return reserialize(dst, c.name, value)
	}
	return append(dst, value...), nil
}

// combine joins a field's lines to its value. A field that is not there is an error: an absent field must not verify as
// an empty one.
func combine(name string, lines []string) (string, error) {
	if len(lines) == 0 {
		return "", refuse(ReasonMissingComponent, "the signature covers %s, but the message has no such field", name)
	}
	size := 0
	for _, line := range lines {
		if size += len(line) + 2; size > maxFieldBytes {
			return "", refuse(ReasonMalformed, "field %s has more than %d bytes", name, maxFieldBytes)
		}
		// net/http joins obsolete line folding with a space, as RFC 9421 section 2.1 has it; whatever still holds a
		// control character did not come through an HTTP parser.
		for i := range len(line) {
			if line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
				return "", refuse(ReasonMalformed, "field %s holds a control character", name)
			}
		}
	}
	if len(lines) == 1 {
		return strings.Trim(lines[0], " \t"), nil
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	return strings.Join(trimmed, ", "), nil
}

// appendWrapped appends each line as a byte sequence (RFC 9421 section 2.1.3).
func appendWrapped(dst []byte, lines []string) []byte {
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, ':')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(strings.Trim(line, " \t")))
		dst = append(dst, ':')
	}
	return dst
}

// appendMember appends one member of a dictionary field (RFC 9421 section 2.1.2).
func appendMember(dst []byte, value string, c *component) ([]byte, error) {
	d, err := sf.ParseDict(value)
	if err != nil {
		return nil, because(ReasonMalformed, err, "read field %s", c.name)
	}
	member, ok := d.Get(c.key)
	if !ok {
		return nil, refuse(ReasonMissingComponent, "field %s has no member %q", c.name, c.key)
	}
	return sf.AppendItem(dst, member), nil
}
