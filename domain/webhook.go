package domain

import (
	"slices"
	"strings"
	"time"
)

// WebhookDestination is where a workspace wants to be told what happens. It
// holds no secret: the one that signs follows from its id and SecretVersion.
type WebhookDestination struct {
	ID          string    `json:"id"` // a UUID, never used again
	Workspace   Workspace `json:"workspace_id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	EventTypes  []string  `json:"event_types"` // patterns, see Wants
	Enabled     bool      `json:"enabled"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	SecretVersion   uint64    `json:"secret_version"`               // counts the secrets, from 1
	PreviousExpires time.Time `json:"previous_expires_at,omitzero"` // until when the secret before signs as well
	AfterChange     uint64    `json:"after_change"`                 // the head of the log when it was created
	AfterProbe      uint64    `json:"after_probe"`                  // the same of the log of probes
	DisabledReason  string    `json:"disabled_reason,omitempty"`    // why the service disabled it; empty: it did not
}

// The types of the events that a destination can be told, beside those of
// changes.
const (
	HealthChanged = "integration.health_changed" // a probe saw another status than the one before
	WebhookTest   = "webhook.test"               // somebody tries a destination; sent whatever it wants
)

// WebhookTypes are the types of event that a destination may want.
func WebhookTypes() []string { return []string{createdName, updatedName, deletedName, HealthChanged} }

const anyType, anyOfIntegration = "*", "integration.*"

// NewWebhookDestination decides to make a destination of what doc describes: all
// events, unless it names some. It refuses with Invalid, every problem at once.
func NewWebhookDestination(w Workspace, id string, doc Document, at time.Time) (WebhookDestination, error) {
	d := WebhookDestination{
		ID: id, Workspace: w, EventTypes: []string{anyType}, Enabled: true, CreatedAt: at, UpdatedAt: at, SecretVersion: 1,
	}
	return d, d.read(doc)
}

// Update decides to change what doc names. What is absent stays as it is. It
// refuses with Invalid, every problem at once.
func (d WebhookDestination) Update(doc Document, at time.Time) (WebhookDestination, error) {
	next := d
	if err := next.read(doc); err != nil {
		return d, err
	}
	if next.Enabled {
		next.DisabledReason = ""
	}
	next.UpdatedAt = at
	return next, nil
}

func (d *WebhookDestination) read(doc Document) error {
	var problems []Problem
	o := newObject("", doc, &problems)
	o.text("url", &d.URL, webURL)
	o.required("url", d.URL != "")
	o.nullableText("description", &d.Description, length(0, 256), noControl)
	o.texts("event_types", &d.EventTypes, 20, eventPattern)
	o.required("event_types", len(d.EventTypes) > 0)
	o.boolean("enabled", &d.Enabled)
	o.done()
	return RefuseAll(problems)
}

func eventPattern(s string) (string, string) {
	if known := append([]string{anyType, anyOfIntegration}, WebhookTypes()...); !slices.Contains(known, s) {
		return "enum", "must be one of " + strings.Join(known, ", ")
	}
	return "", ""
}

// Wants reports whether one of the patterns means a type of event: the type
// itself, what begins alike before a final asterisk, or an asterisk alone.
func (d WebhookDestination) Wants(eventType string) bool {
	return slices.ContainsFunc(d.EventTypes, func(pattern string) bool {
		before, open := strings.CutSuffix(pattern, "*")
		return pattern == eventType || open && strings.HasPrefix(eventType, before)
	})
}

// Rotate decides to sign with another secret. The one before signs as well for
// overlap; one before that no longer does.
func (d WebhookDestination) Rotate(overlap time.Duration, at time.Time) WebhookDestination {
	d.SecretVersion++
	d.UpdatedAt, d.PreviousExpires = at, time.Time{}
	if overlap > 0 {
		d.PreviousExpires = at.Add(overlap)
	}
	return d
}

// Signing returns the versions of the secret that sign at a time, the newest
// first.
func (d WebhookDestination) Signing(at time.Time) []uint64 {
	if at.Before(d.PreviousExpires) {
		return []uint64{d.SecretVersion, d.SecretVersion - 1}
	}
	return []uint64{d.SecretVersion}
}

// Disable decides to send nothing more, for a reason that is shown.
func (d WebhookDestination) Disable(reason string, at time.Time) WebhookDestination {
	d.Enabled, d.DisabledReason, d.UpdatedAt = false, reason, at
	return d
}

// NoSuchWebhookDestination is the refusal for one that is not in the workspace.
func NoSuchWebhookDestination() error {
	return Errorf(NotFound, "webhook_destination_not_found", "there is no such webhook destination in this workspace")
}
