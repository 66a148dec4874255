package egress

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// MaxBody limits the body of an answer, in bytes after decompression, where a request
// sets no other limit.
const MaxBody = 1 << 20

// Answer is the answer of an upstream, as far as it was read.
type Answer struct {
	Status    int
	Header    http.Header
	URL       *url.URL // that was requested
	Body      []byte   // text in UTF-8 without a byte order mark; what is Binary as it came
	Media     string   // the media type of the body, without parameters
	Binary    bool     // the body is no text
	Truncated bool     // there was more
}

// Error returns the error of an answer that is not a success, nil for one that is.
func (a Answer) Error() *callerror.Error { return callerror.OfAnswer(a.Status, a.Header, a.URL) }

// read reads the body of resp, up to a limit.
func (a *Answer) read(ctx context.Context, resp *http.Response, r *Request, limit int) (e *callerror.Error) {
	a.Body, a.Truncated, e = readBody(ctx, resp, limit)
	if resp.Header.Get("Content-Encoding") != "" { // how well a body packs shows whether a parameter repeats a secret in it
		a.Header.Del("Content-Length")
	}
	content := read(a.Body, resp.Header.Get("Content-Type"), a.Truncated || e != nil, func(body, text []byte) bool {
		s := r.Scrubber() // a text whose charset is another one would carry a secret past it
		return s.Finds(string(body)) && !s.Finds(string(text))
	})
	a.Body, a.Media, a.Binary = content.Text, content.Media, content.Binary
	return e
}

// readBody reads up to a limit of bytes of what resp holds once unpacked, and hardly
// more off the network. The context of the request ends it, however
// slowly the bytes come.
func readBody(ctx context.Context, resp *http.Response, limit int) (body []byte, truncated bool, e *callerror.Error) {
	compressed := &io.LimitedReader{R: resp.Body, N: int64(limit+limit/128) + 1024} // what can't be compressed grows a little
	unpacked, err := unpack(resp.Header.Get("Content-Encoding"), compressed)
	var unknown *callerror.Error
	switch {
	case errors.As(err, &unknown):
		return nil, false, unknown
	case err != nil:
		return nil, false, Unreadable(ctx, err)
	}
	body, err = io.ReadAll(io.LimitReader(unpacked, int64(min(limit, admission.FreeBytes))+1))
	if err == nil && len(body) > admission.FreeBytes {
		if admission.Text(ctx, 2*limit+decoded(resp, limit)) != nil { // it grows by doubling
			return nil, false, callerror.Crowded()
		}
		var more []byte
		more, err = io.ReadAll(io.LimitReader(unpacked, int64(limit)+1-int64(len(body))))
		body = append(body, more...)
	}
	switch {
	case len(body) > limit:
		return body[:limit], true, nil
	case err != nil && compressed.N <= 0:
		return body, true, nil
	case err != nil:
		return body, false, Unreadable(ctx, err)
	}
	return body, false, nil
}

// unpack returns a body as it was before the upstream packed it. What is declared as gzip
// and does not begin so is read as it is: some gateways unpack a body and leave the header.
func unpack(encoding string, body io.Reader) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
	case "", "identity", "none", "utf-8", "utf8", "binary", "8bit", "7bit": // no encodings, and no harm
		return body, nil
	default:
		return nil, callerror.Upstream("The upstream packed its answer in an encoding that it was not offered; gzip is understood.")
	}
	buffered := bufio.NewReaderSize(body, 512)
	if begin, _ := buffered.Peek(len(magic)); string(begin) != magic { // an error comes again
		return buffered, nil
	}
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err //nolint:wrapcheck // Unreadable explains it
	}
	unpacked.Multistream(false)
	return &members{buffered, unpacked}, nil
}

const magic = "\x1f\x8b" // of a member of gzip (RFC 1952, 2.3.1)

// members reads the members of a gzip file. What stands behind the last one, such as the
// padding of some servers, is no content.
type members struct {
	from     *bufio.Reader
	unpacked *gzip.Reader
}

// Read implements io.Reader.
func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.unpacked.Read(p)
		switch {
		case !errors.Is(err, io.EOF):
			return n, err //nolint:wrapcheck // Unreadable explains it
		case n > 0:
			return n, nil
		}
		begin, err := m.from.Peek(len(magic))
		if string(begin) != magic {
			if err == nil {
				err = io.EOF
			}
			return 0, err //nolint:wrapcheck // the same
		}
		if err := m.unpacked.Reset(m.from); err != nil {
			return 0, err //nolint:wrapcheck // the same
		}
		m.unpacked.Multistream(false)
	}
}

// decoded returns how many bytes a body takes at most in UTF-8, where it is in another
// charset.
func decoded(resp *http.Response, limit int) int {
	label := declared(nil, resp.Header.Get("Content-Type"), "")
	if label == "" || label == "utf-8" {
		return 0
	}
	return 3 * limit
}

// Unreadable returns the call error of a body whose reading ended with err.
func Unreadable(ctx context.Context, err error) *callerror.Error {
	switch {
	case ctx.Err() != nil:
		return callerror.Timeout(ctx)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return callerror.Upstream("The upstream declares its answer as gzip, and it is not.")
	case isCut(err):
		return &callerror.Error{Code: domain.CallUnreachable, Sentence: "The upstream closed the connection in the middle of its answer."}
	}
	return callerror.Upstream("The body of the upstream's answer could not be read.")
}
