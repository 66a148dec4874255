package connectors

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// show puts an answer into result, one that is no text by describeBinary, and, for a
// success, runs it through the pipeline of the endpoint. Secrets are masked before the pipeline, so that no expression can take
// one apart and carry it past the scrubber. The results of the pipeline are not scrubbed
// again: they have texts that the caller chose, such as literals and names, and a mask
// there would show that one of them is the secret.
func show(ctx context.Context, result *domain.CallResult, got egress.Answer, e *callerror.Error, endpoint domain.Endpoint, verdict func(egress.Answer, any) *callerror.Error, scrubber scrub.Scrubber) *callerror.Error {
	result.StatusCode, result.Truncated = got.Status, got.Truncated
	result.ResponseHeaders = scrubber.Headers(got.Header)
	var isJSON, masked bool
	switch {
	case got.Binary:
		if admission.Answer(ctx, 6*int64(len(got.Body))) != nil { // as text, in base64 and in a result
			return callerror.Crowded()
		}
		described, whole := describeBinary(got, scrubber)
		isJSON, masked, result.RawResponse = true, !whole, described
		if described["base64"] == nil {
			result.ResponseBytes = 0
		}
	case got.Truncated || e != nil && len(got.Body) > 0:
		shown := scrubber.Truncated(string(got.Body))
		masked, result.RawResponse = shown != string(got.Body), jsonvalue.Text([]byte(shown))
	default:
		raw, is, crowded := decodeWithin(ctx, got.Body, reshape.Configured(endpoint))
		if crowded != nil {
			return crowded
		}
		isJSON = is
		result.RawResponse, masked = scrubber.Clean(raw)
	}
	if masked {
		maskDerived(result.ResponseHeaders)
	}
	if e != nil {
		return e
	}
	if e := verdict(got, result.RawResponse); e != nil {
		return e
	}
	if got.Truncated {
		return tooLarge()
	}
	reshaped, err := reshape.Run(ctx, endpoint, reshape.Response{
		Status: got.Status, Header: result.ResponseHeaders, Value: result.RawResponse, IsJSON: isJSON,
	})
	result.AfterFilter, result.AfterMapping, result.FinalResult = reshaped.Filtered, reshaped.Mapped, reshaped.Final
	switch {
	case err != nil && ctx.Err() != nil:
		return &callerror.Error{Code: domain.CallTimeout, Clean: true, Sentence: "The upstream answered, and the time was over before its answer was shaped."}
	case err != nil:
		return &callerror.Error{ // secrets are masked in what is reshaped
			Code: domain.CallUpstreamError, Clean: true,
			Sentence: "The upstream answered, and its answer could not be shaped: " + err.Error() + ".",
		}
	}
	if described, ok := result.RawResponse.(map[string]any); ok && got.Binary && !shapes(endpoint) {
		result.Tool = perceptible(described)
	}
	return nil
}

// derived are the headers that are computed from the whole body.
var derived = []string{"Content-Length", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "X-Goog-Hash", "X-Checksum"}

// maskDerived masks the headers that are computed from a body with a secret in it: whoever
// knows the rest of the body could test guesses of the secret with a hash of the whole.
func maskDerived(h http.Header) {
	for name := range h {
		if slices.Contains(derived, name) || strings.HasPrefix(name, "X-Amz-Checksum-") {
			h[name] = []string{scrub.Mask}
		}
	}
}

// shapes reports whether an endpoint shapes its answers.
func shapes(e domain.Endpoint) bool { return reshape.Configured(e) || e.MaxResultLength > 0 }

// showTool puts the content of a tool into result, unless the endpoint shapes its answer.
func showTool(ctx context.Context, result *domain.CallResult, whole []byte, e *callerror.Error, endpoint domain.Endpoint, scrubber scrub.Scrubber) *callerror.Error {
	if whole == nil || e != nil && e.Code != domain.CallToolError || shapes(endpoint) {
		return nil
	}
	decoded, _, crowded := decodeWithin(ctx, whole, false)
	if crowded != nil {
		return crowded
	}
	read, _ := scrubber.Value(decoded).(map[string]any)
	content, _ := read["content"].([]any)
	result.Tool = &domain.ToolResult{Content: content, Structured: read["structuredContent"]}
	return nil
}

// tooLarge returns the error of an answer that was truncated.
func tooLarge() *callerror.Error {
	return &callerror.Error{Code: domain.CallResponseTooLarge, Sentence: fmt.Sprintf("The upstream's answer is longer than %d KiB; only its beginning is shown.", egress.MaxBody>>10)}
}

// decodeWithin decodes a body once there is memory for what it is decoded to, and for
// what an endpoint makes of that.
func decodeWithin(ctx context.Context, body []byte, reshapes bool) (value any, isJSON bool, e *callerror.Error) {
	size := admission.Weight(body)
	if reshapes { // expressions take copies, and a text grows by doubling
		size = 3*size + 3*int64(reshape.MaxResult(size))
	}
	if admission.Answer(ctx, size) != nil {
		return nil, false, callerror.Crowded()
	}
	value, isJSON = jsonvalue.Decode(body)
	return value, isJSON, nil
}

// fit returns the result of a call once there is memory to write it, else without the
// answer. A step that is not configured shows nothing of its own.
func fit(ctx context.Context, result domain.CallResult) domain.CallResult {
	tool := domain.ToolResult{}
	if result.Tool != nil {
		tool = *result.Tool
	}
	size := reshape.Size(result.RawResponse, result.AfterFilter, result.AfterMapping, result.FinalResult, tool.Content, tool.Structured)
	soon, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	if admission.Writing(soon, 2*size) == nil { // it grows by doubling
		return result
	}
	result.RawResponse, result.AfterFilter, result.AfterMapping, result.FinalResult, result.Tool = nil, nil, nil, "", nil
	return failed(result, callerror.Crowded())
}
