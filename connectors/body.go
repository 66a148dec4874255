package connectors

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/domain"
)

// maxBody is how much of an answer is read, after unpacking.
const maxBody = 1 << 20

// answer is what an upstream said, as far as it was read.
type answer struct {
	status    int
	headers   http.Header
	body      []byte
	truncated bool // there was more
}

// readBody reads at most so many bytes of what resp holds once unpacked, and at
// most that many off the wire. The context of the request ends it, however
// slowly the bytes come.
func readBody(ctx context.Context, resp *http.Response, most int) (body []byte, truncated bool, f *fault) {
	wire := &io.LimitedReader{R: resp.Body, N: int64(most) + 1}
	var unpacked io.Reader = wire
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		packed, err := gzip.NewReader(wire)
		switch {
		case errors.Is(err, io.EOF): // no body at all, as after HEAD
			return nil, false, nil
		case err != nil:
			return nil, false, unreadable(ctx, err)
		}
		unpacked = packed
	default:
		return nil, false, &fault{code: domain.CallUpstreamError, sentence: "The upstream packed its answer in an encoding that it was not offered; gzip is understood."}
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, int64(min(most, admission.FreeBytes))+1))
	if err == nil && len(body) > admission.FreeBytes {
		if admission.Text(ctx, 2*most) != nil { // it grows by doubling
			return nil, false, crowded()
		}
		var more []byte
		more, err = io.ReadAll(io.LimitReader(unpacked, int64(most)+1-int64(len(body))))
		body = append(body, more...)
	}
	switch {
	case len(body) > most:
		return body[:most], true, nil
	case err != nil && wire.N <= 0:
		return body, true, nil
	case err != nil:
		return body, false, unreadable(ctx, err)
	}
	return body, false, nil
}

func unreadable(ctx context.Context, err error) *fault {
	switch {
	case ctx.Err() != nil:
		return &fault{code: domain.CallTimeout, sentence: late(ctx)}
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return &fault{code: domain.CallUpstreamError, sentence: "The upstream says that its answer is gzip, and it is not."}
	case isCut(err):
		return &fault{code: domain.CallUnreachable, sentence: "The upstream closed the connection in the middle of its answer."}
	}
	return &fault{code: domain.CallUpstreamError, sentence: "The body of the upstream's answer could not be read."}
}

// tooLarge is the fault of an answer that was cut.
func tooLarge() *fault {
	return &fault{code: domain.CallResponseTooLarge, sentence: fmt.Sprintf("The upstream's answer is longer than %d KiB; only its beginning is shown.", maxBody>>10)}
}

// noRoom is said of an answer that came when there was no memory for it.
const noRoom = "The upstream answered, and there was no memory for an answer of this size in time: too many large ones are held just now."

func crowded() *fault {
	return &fault{code: domain.CallResponseTooLarge, sentence: noRoom, own: true, final: true, ours: true}
}

// decodeWithin is decode once there is room for what the body is decoded to, and for
// what is made of that.
func decodeWithin(ctx context.Context, body []byte, shapes bool) (value any, isJSON bool, f *fault) {
	size := admission.Weight(body)
	if shapes { // expressions take copies, and a text grows by doubling
		size = 3*size + 3*int64(reshape.MaxResult(size))
	}
	if admission.Answer(ctx, size) != nil {
		return nil, false, crowded()
	}
	value, isJSON = jsonvalue.Decode(body)
	return value, isJSON, nil
}

// fit returns the result of a call once there is room to write it, else without
// what the upstream said. A step that is not configured shows nothing of its own.
func fit(ctx context.Context, result domain.CallResult) domain.CallResult {
	size := reshape.Size(result.RawResponse, result.AfterFilter, result.AfterMapping, result.FinalResult)
	soon, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	if admission.Writing(soon, 2*size) == nil { // it grows by doubling
		return result
	}
	result.RawResponse, result.AfterFilter, result.AfterMapping, result.FinalResult = nil, nil, nil, ""
	return failed(result, crowded())
}
