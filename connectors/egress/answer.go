package egress

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
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
	Body      []byte
	Truncated bool // there was more
}

// readBody reads at most so many bytes of what resp holds once unpacked, and at
// limit that many off the network. The context of the request ends it, however
// slowly the bytes come.
func readBody(ctx context.Context, resp *http.Response, limit int) (body []byte, truncated bool, e *callerror.Error) {
	compressed := &io.LimitedReader{R: resp.Body, N: int64(limit) + 1}
	var unpacked io.Reader = compressed
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		packed, err := gzip.NewReader(compressed)
		switch {
		case errors.Is(err, io.EOF): // no body at all, as after HEAD
			return nil, false, nil
		case err != nil:
			return nil, false, Unreadable(ctx, err)
		}
		unpacked = packed
	default:
		return nil, false, callerror.Upstream("The upstream packed its answer in an encoding that it was not offered; gzip is understood.")
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, int64(min(limit, admission.FreeBytes))+1))
	if err == nil && len(body) > admission.FreeBytes {
		if admission.Text(ctx, 2*limit) != nil { // it grows by doubling
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
