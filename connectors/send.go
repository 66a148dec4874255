package connectors

import (
	"errors"
	"net/http"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Send sends a request of the service itself, such as a webhook, through the same client
// as every call: no redirect is followed. An error has the sentence and the code of a
// failed call.
func (r *Registry) Send(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", r.caller.client.UserAgent)
	resp, err := r.caller.client.RoundTrip(req)
	var e *callerror.Error
	if errors.As(err, &e) {
		return nil, domain.Wrap(e.Cause, domain.Unavailable, string(e.Code), e.Sentence)
	}
	return resp, err
}
