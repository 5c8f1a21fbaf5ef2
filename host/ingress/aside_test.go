package ingress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deaf is a connection of an HTTP/2 client (RFC 9113) that asks and takes no byte of the answers' bodies.
type deaf struct {
	net.Conn
	streams uint32
}

func deafFrom(t *testing.T, from, address string) *deaf {
	t.Helper()
	c := &deaf{Conn: dialFrom(t, from, address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}
	c.frame(t, 4, 0, 0, []byte{0, 4, 0, 0, 0, 0}) // SETTINGS: SETTINGS_INITIAL_WINDOW_SIZE is 0
	return c
}

func (c *deaf) frame(t *testing.T, kind, flags byte, stream uint32, payload []byte) {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = binary.BigEndian.AppendUint32(append(b, flags), stream)
	_, err := c.Write(append(b, payload...))
	must(t, err)
}

// ask sends a GET and waits for the header of the answer, or for the end of the stream: it reports which.
func (c *deaf) ask(t *testing.T, path string) (answered bool) {
	t.Helper()
	c.streams++
	stream := 2*c.streams - 1
	block := append([]byte{0x82, 0x86, 0x04, byte(len(path))}, path...) // :method GET, :scheme http, :path (RFC 7541)
	block = append(append(block, 0x01, 1), 'x')                         // :authority
	c.frame(t, 1, 0x5, stream, block)                                   // HEADERS, END_STREAM and END_HEADERS
	must(t, c.SetReadDeadline(time.Now().Add(time.Minute)))             // only a broken server gets there
	for {
		var head [9]byte
		_, err := io.ReadFull(c, head[:])
		must(t, err)
		_, err = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:])>>8))
		must(t, err)
		if binary.BigEndian.Uint32(head[5:]) != stream {
			continue
		}
		switch head[3] {
		case 1:
			return true
		case 3: // RST_STREAM
			return false
		}
	}
}

// TestRequestsThatAreNotReadAreBounded has clients that ask for what is no call and do not read the answers, each of
// which would otherwise be kept for ever.
func TestRequestsThatAreNotReadAreBounded(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, func(in *Server) { in.requests, in.requestShares = newRoom(16), newShares(8) })
	count := func(from, path string) (answered int) {
		c := deafFrom(t, from, n.address)
		for answered < 20 && c.ask(t, path) {
			answered++
		}
		return answered
	}
	paths := []string{"/v1/health/x", "/nothing", "/call/quote"}
	for i, want := range []int{8, 4, 0} {
		if got := count(fmt.Sprint("127.0.1.", i+1), paths[i]); got != want {
			t.Errorf("%d answers to %s wait at once; want %d", got, paths[i], want)
		}
	}
	c := n.speaking(t, "h2", "quote-alloc.quote", n.ca.Identity(t, functionID(t, "other")))
	r, sent := n.signed(t, "https://"+n.address, "quote", "{}")
	n.mustVerify(t, do(t, c, r), r, sent, "{}") // another host
}

// TestMetricsThatAreNotRead has one address begin to read metrics as often as it can.
func TestMetricsThatAreNotRead(t *testing.T) {
	n := serving(t, newFixture(t), nil)
	c := deafFrom(t, "127.0.1.1", n.address)
	for range 16 {
		c.ask(t, "/v1/metrics")
	}
	response, err := http.Get("http://" + n.address + "/v1/metrics")
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "countersign_") {
		t.Errorf("%d, %v: %.200s", response.StatusCode, err, body)
	}
}

// patient records until when an answer must be written.
type patient struct {
	httptest.ResponseRecorder
	deadline time.Time
}

func (p *patient) SetWriteDeadline(t time.Time) error {
	p.deadline = t
	return nil
}

// TestAnswersHaveADeadline has every path that a client can ask for.
func TestAnswersHaveADeadline(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	for _, what := range []string{"GET /v1/metrics", "POST /v1/metrics", "GET /v1/health/quote-alloc", "GET /v1/health/x", "POST /v1/health/x",
		"GET /call/quote", "POST /call/quote", "POST /call/x", "GET /", "OPTIONS *", "POST /call//quote",
		"POST /call/../x", "POST /call/a/b", "POST /call/", "GET //"} {
		method, path, _ := strings.Cut(what, " ")
		w := &patient{ResponseRecorder: httptest.ResponseRecorder{Body: new(bytes.Buffer)}}
		r := httptest.NewRequest(method, path, nil)
		n.in.serve(w, r)
		if left := time.Until(w.deadline); left <= 0 || left > writeTimeout {
			t.Errorf("%s: the answer, %d, is to be read within %v", what, w.Code, left)
		}
	}
}
