package domain

import (
	"slices"
	"strings"
	"time"
)

// WebhookDestination is a URL to which a workspace wants events sent. It holds no
// secret: the signing secret is derived from its id and SecretVersion.
type WebhookDestination struct {
	ID          string    `json:"id"` // a UUID, never reused
	Workspace   Workspace `json:"workspace_id"`
	URL         string    `json:"url"`
	Name        string    `json:"name,omitempty"` // for people
	Description string    `json:"description"`
	EventTypes  []string  `json:"event_types"` // patterns, see Wants
	Enabled     bool      `json:"enabled"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	RetryAttempts *int `json:"retry_attempts,omitempty"` // how often a webhook is sent again; nil: until it is given up for its age

	SecretVersion   uint64    `json:"secret_version"`               // counts the secrets, from 1
	PreviousExpires time.Time `json:"previous_expires_at,omitzero"` // until when the previous secret signs too
	AfterChange     uint64    `json:"after_change"`                 // the head of the log when it was created
	AfterProbe      uint64    `json:"after_probe"`                  // the head of the probe log at that time
	AfterApproval   uint64    `json:"after_approval,omitempty"`     // the head of the log of approvals at that time
	DisabledReason  string    `json:"disabled_reason,omitempty"`    // why the service disabled it; empty: it didn't
}

// The types of events that a destination can receive, besides those of changes.
const (
	HealthChanged = "integration.health_changed" // the status differs from that of the previous probe
	WebhookTest   = "webhook.test"               // a test of a destination; sent whatever its event types
)

// WebhookTypes returns the event types that a destination may subscribe to.
func WebhookTypes() []string {
	return slices.Concat([]string{createdName, updatedName, deletedName, HealthChanged}, AuthorizationNames(), ApprovalTypes())
}

const anyType, anyOfIntegration, anyOfApproval = "*", "integration.*", "approval.*"

// NewWebhookDestination decides to create a destination from doc. Without event
// types it receives all events. It refuses with Invalid, which lists every problem.
func NewWebhookDestination(w Workspace, id string, doc Document, at time.Time) (WebhookDestination, error) {
	d := WebhookDestination{
		ID: id, Workspace: w, EventTypes: []string{anyType}, Enabled: true, CreatedAt: at, UpdatedAt: at, SecretVersion: 1,
	}
	return d, d.read(newWebhookObject(doc))
}

// Update decides to change the members that doc has. An absent member keeps its
// value. It refuses with Invalid, which lists every problem.
func (d WebhookDestination) Update(doc Document, at time.Time) (WebhookDestination, error) {
	next := d
	o := newWebhookObject(doc)
	d.readOnly(o)
	if err := next.read(o); err != nil {
		return d, err
	}
	if next.Enabled {
		next.DisabledReason = ""
	}
	next.UpdatedAt = at
	return next, nil
}

func newWebhookObject(doc Document) *object { return newObject("", doc, new([]Problem)) }

func (d *WebhookDestination) read(o *object) error {
	o.text("url", &d.URL, webURL)
	o.required("url", d.URL != "")
	o.nullableText("name", &d.Name, length(0, 128), noControl)
	o.nullableText("description", &d.Description, length(0, 256), noControl)
	d.readEventTypes(o)
	o.boolean("enabled", &d.Enabled)
	if o.null("retry_attempts") {
		d.RetryAttempts = nil
	}
	if v, _ := o.given("retry_attempts"); v != nil {
		d.RetryAttempts = new(int)
		o.integer("retry_attempts", d.RetryAttempts, 0, 100)
	}
	o.done()
	return RefuseAll(*o.problems)
}

// readEventTypes reads event_types, or accepted_event_types, which is the same. A document
// that was read has both: the one that was changed counts.
func (d *WebhookDestination) readEventTypes(o *object) {
	types, accepted := d.EventTypes, d.EventTypes
	o.texts("event_types", &types, 20, eventPattern)
	o.texts("accepted_event_types", &accepted, 20, eventPattern)
	typesChanged, acceptedChanged := !slices.Equal(types, d.EventTypes), !slices.Equal(accepted, d.EventTypes)
	if typesChanged && acceptedChanged && !slices.Equal(types, accepted) {
		o.problem("accepted_event_types", "not_allowed", "is another name of event_types, which differs")
	}
	if d.EventTypes = types; acceptedChanged {
		d.EventTypes = accepted
	}
	o.required("event_types", len(d.EventTypes) > 0)
}

// readOnly accepts the members that a destination is shown with and a request can't set, if
// they are the present ones.
func (d *WebhookDestination) readOnly(o *object) {
	for _, m := range []struct{ name, now string }{{"id", d.ID}, {"workspace_id", string(d.Workspace)}, {"disabled_reason", d.DisabledReason}} {
		if v, given := o.given(m.name); given && v != m.now {
			o.problem(m.name, "read_only", "can't be set; leave it out")
		}
	}
	for _, m := range []struct {
		name string
		now  time.Time
	}{{"created_at", d.CreatedAt}, {"updated_at", d.UpdatedAt}} {
		if v, given := o.given(m.name); given && !isTime(v, m.now) {
			o.problem(m.name, "read_only", "can't be set; leave it out")
		}
	}
	if v, given := o.given("signing_secret"); given {
		state, _ := v.(map[string]any)
		if n, whole := wholeNumber(state["version"]); !whole || n < 0 || uint64(n) != d.SecretVersion {
			o.problem("signing_secret", "read_only", "can't be set; rotate the secret instead")
		}
	}
}

func eventPattern(s string) (string, string) {
	if known := append([]string{anyType, anyOfIntegration, anyOfApproval}, WebhookTypes()...); !slices.Contains(known, s) {
		return "enum", "must be one of " + strings.Join(known, ", ")
	}
	return "", ""
}

// Wants reports whether a pattern matches an event type: the type itself, a prefix
// before a final asterisk, or an asterisk alone.
func (d WebhookDestination) Wants(eventType string) bool {
	return slices.ContainsFunc(d.EventTypes, func(pattern string) bool {
		before, open := strings.CutSuffix(pattern, "*")
		return pattern == eventType || open && strings.HasPrefix(eventType, before)
	})
}

// Rotate decides to sign with a new secret. The previous one signs too for overlap;
// any earlier one no longer signs.
func (d WebhookDestination) Rotate(overlap time.Duration, at time.Time) WebhookDestination {
	d.SecretVersion++
	d.UpdatedAt, d.PreviousExpires = at, time.Time{}
	if overlap > 0 {
		d.PreviousExpires = at.Add(overlap)
	}
	return d
}

// Signing returns the versions of the secret that sign at a time, newest first.
func (d WebhookDestination) Signing(at time.Time) []uint64 {
	if at.Before(d.PreviousExpires) {
		return []uint64{d.SecretVersion, d.SecretVersion - 1}
	}
	return []uint64{d.SecretVersion}
}

// Disable decides to stop sending, for a reason that is shown.
func (d WebhookDestination) Disable(reason string, at time.Time) WebhookDestination {
	d.Enabled, d.DisabledReason, d.UpdatedAt = false, reason, at
	return d
}

// NoSuchWebhookDestination is the error for an id that the workspace doesn't have.
func NoSuchWebhookDestination() error {
	return Errorf(NotFound, "webhook_destination_not_found", "there is no such webhook destination in this workspace")
}
