package connectors

import (
	"net/http"

	"github.com/seed677028b5/integrations/domain"
)

// Send sends a request of the service itself, such as a webhook, through the
// same guarded way out as every call: no redirect is followed. An error says in
// a sentence of ours what went wrong, its code being one of domain.ErrorCode.
func (r *Registry) Send(req *http.Request) (*http.Response, error) {
	var seen progress
	req = req.WithContext(seen.watch(req.Context()))
	req.Header.Set("User-Agent", r.way.agent)
	resp, err := r.way.door.RoundTrip(req)
	if err != nil {
		f := seen.explain(req.Context(), err)
		return nil, domain.Because(err, domain.Unavailable, string(f.code), f.sentence)
	}
	return resp, nil
}
