package webhooks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/retryafter"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// maxAnswer is how many bytes of a response are read and discarded. A connection can
// be reused only after its response was read to the end.
const maxAnswer = 16 << 10

// outcome is the result of one attempt.
type outcome struct {
	status     int // 0: no response
	problem    string
	code       domain.ErrorCode // the reason when there was no response
	took       time.Duration
	retryAfter time.Duration
}

func (o outcome) delivered() bool { return o.problem == "" }

// attempt sends a message to a destination once. Of the response only the status is
// kept.
func (w *Webhooks) attempt(ctx context.Context, d domain.WebhookDestination, m message) outcome {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	began := time.Now() //nolint:forbidigo // measures a duration
	ctx, span := w.config.Traces.Begin(ctx, "deliver", tracing.Consumer, m.TraceParent)
	o := w.send(ctx, d, m)
	endAttempt(span, d, m, o)
	o.took = time.Since(began)
	return o
}

func endAttempt(span tracing.Span, d domain.WebhookDestination, m message, o outcome) {
	span.Of(d.Workspace, m.Integration)
	span.SetText("integrations.destination_id", d.ID)
	span.SetText("integrations.webhook_id", m.ID)
	span.SetText(tracing.Event, m.Type)
	if !o.delivered() {
		span.Fail(string(cmp.Or(o.code, domain.CallUpstreamError)))
	}
	span.End(nil)
}

func (w *Webhooks) send(ctx context.Context, d domain.WebhookDestination, m message) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(m.Body))
	if err == nil {
		err = w.sign(req.Header, d, m.ID, w.config.Now(), m.Body)
	}
	if err != nil {
		return outcome{problem: "The request could not be made.", code: domain.CallMisconfigured}
	}
	req.Header.Set("Content-Type", "application/json")
	if parent := cmp.Or(tracing.Parent(ctx), m.TraceParent); parent != "" {
		req.Header.Set(tracing.Header, parent)
	}
	resp, err := w.config.Send(req)
	if err != nil {
		o := outcome{problem: "The receiver could not be reached.", code: domain.CallUnreachable}
		if refusal, ok := errors.AsType[*domain.Error](err); ok {
			o.problem, o.code = refusal.Message, domain.ErrorCode(refusal.Code)
		}
		return o
	}
	defer resp.Body.Close() //nolint:errcheck // the response does not matter
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	o := outcome{status: resp.StatusCode}
	if o.status < 200 || o.status > 299 {
		o.problem = strings.TrimSpace(fmt.Sprintf("The receiver answered %d %s", o.status, http.StatusText(o.status))) + "."
		wait, _ := retryafter.Of(o.status, resp.Header, w.config.Now())
		o.retryAfter = min(wait, w.config.Longest)
	}
	return o
}

// Test sends a test event to a destination now, whether it is enabled or not,
// and returns the result. There is no retry.
func (w *Webhooks) Test(ctx context.Context, of domain.Workspace, id string) (Delivery, error) {
	d, err := w.Get(ctx, of, id)
	if err != nil {
		return Delivery{}, err
	}
	data, err := json.Marshal(testData{DestinationID: d.ID, Message: "This is a test. Nothing has happened to any integration."})
	if err != nil {
		return Delivery{}, err
	}
	at := w.config.Now()
	body, err := json.Marshal(payload{Type: domain.WebhookTest, Timestamp: at, Data: data})
	if err != nil {
		return Delivery{}, err
	}
	m := message{ID: messageID(d, "t", w.config.NewID()), Type: domain.WebhookTest, EnqueuedAt: at, Body: body}
	result := newDelivery(m, 1, w.attempt(ctx, d, m), at)
	w.note(ctx, d, record{Delivery: result})
	return result, nil
}

func newDelivery(m message, attempt int, o outcome, at time.Time) Delivery {
	r := Delivery{
		ID: m.ID, Type: m.Type, Integration: m.Integration, Position: m.Position, Attempt: attempt, Status: Failed,
		HTTPStatus: o.status, Duration: o.took, Code: o.code, Problem: o.problem, At: at,
	}
	switch {
	case o.delivered():
		r.Status = Delivered
	case r.Code == "":
		r.Code = domain.CallUpstreamError
	}
	return r
}
