package transport

import (
	"encoding/json"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

// listAnswer is what follows the items of a list.
type listAnswer struct {
	HasMore           bool    `json:"has_more"`
	ContinuationToken *string `json:"continuation_token"`
	Total             int     `json:"total"`
	TotalIsAtLeast    bool    `json:"total_is_at_least,omitempty"` // there may be more than total
}

type dryRunAnswer struct {
	DryRun      bool                        `json:"dry_run"`
	Changes     []changeAnswer              `json:"changes"`
	Integration *representation.Integration `json:"integration"`                      // null when it would be gone
	OtherClient *int                        `json:"authorizations_with_other_client"` // null when persons don't sign in with a client_id
}

// changeAnswer is one difference. Old and new are omitted for a secret.
type changeAnswer struct {
	Pointer string `json:"pointer"`
	Old     any    `json:"old,omitempty"`
	New     any    `json:"new,omitempty"`
	Secret  bool   `json:"secret,omitempty"`
}

func showChanges(changes []domain.Change) []changeAnswer {
	shown := make([]changeAnswer, len(changes))
	for n, c := range changes {
		shown[n] = changeAnswer{Pointer: c.Pointer, Old: c.Old, New: c.New, Secret: c.Secret}
	}
	return shown
}

// show returns the representation of an integration.
func show(i projections.Integration) representation.Integration {
	return representation.Of(i.Integration, i.LastProbe.Shown())
}

func instant(t time.Time) time.Time { return representation.Instant(t) }

// nullable returns nil for a zero value, so that it is null in JSON.
func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// milliseconds is a duration in JSON.
type milliseconds time.Duration

// MarshalJSON writes the duration as a number of milliseconds.
func (m milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}
