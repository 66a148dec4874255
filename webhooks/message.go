package webhooks

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// message is one event on its way to one destination.
type message struct {
	ID          string          `json:"id"` // the webhook-id: the same in all attempts and redeliveries
	Type        string          `json:"type"`
	Integration domain.ID       `json:"integration_id"`
	Position    uint64          `json:"position"`
	EnqueuedAt  time.Time       `json:"enqueued_at"`
	Body        json.RawMessage `json:"body"`                  // as it is signed and sent
	TraceParent string          `json:"traceparent,omitempty"` // of the event; empty: none
}

// payload is the body of a webhook.
type payload struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// healthData is the data of a health_changed event.
type healthData struct {
	Position      uint64              `json:"position"`
	IntegrationID domain.ID           `json:"integration_id"`
	Type          string              `json:"type"`
	Time          time.Time           `json:"time"`
	Status        domain.ProbeStatus  `json:"status"`
	Previous      *domain.ProbeStatus `json:"previous"` // null: it was never probed before
	Message       string              `json:"message"`
	HTTPStatus    *int                `json:"http_status"` // null: no answer
}

// testData is the data of a webhook.test event.
type testData struct {
	DestinationID string `json:"destination_id"`
	Message       string `json:"message"`
}

// messageID names an event for a destination. The sort separates changes, probes and
// tests, which are numbered independently.
func messageID(d domain.WebhookDestination, sort, which string) string {
	return "msg_" + sort + which + "_" + d.ID
}

func pendingSubject(d domain.WebhookDestination, id domain.ID) string {
	return pendingPrefix + keyOf(d.Workspace, d.ID) + "." + string(id)
}

// queueKey identifies a queue: the webhooks in it are delivered in order.
type queueKey struct {
	workspace   domain.Workspace
	destination string
	integration domain.ID
}

func (k queueKey) destinationKey() string { return keyOf(k.workspace, k.destination) }

func queueOf(subject string) (queueKey, bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return queueKey{}, false
	}
	return queueKey{domain.Workspace(parts[1]), parts[2], domain.ID(parts[3])}, true
}
