// Package projections maintains the read models that the API lists and shows, and follows the
// log to keep them current.
//
// A read model that has reached a position shows everything up to it, however often an event
// is applied again, and in every store. It can be deleted at any time, because it can be
// rebuilt from the log.
package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/representation"
)

// Model is the read interface of a Store.
type Model interface {
	AuthorizationModel

	// Get returns the integration of that workspace, or
	// domain.NoSuchIntegration when there is none or it is deleted.
	Get(ctx context.Context, w domain.Workspace, id domain.ID) (Integration, error)

	// List returns a page of the integrations of a workspace.
	List(ctx context.Context, w domain.Workspace, q Query) (Page, error)

	// Answer returns what the API answers of an integration. It refuses as Get does.
	Answer(ctx context.Context, w domain.Workspace, id domain.ID) (Answer, error)

	// Answers returns what the API answers of the integrations on the page that List returns.
	Answers(ctx context.Context, w domain.Workspace, q Query) (AnswerPage, error)

	// Probed returns the last probe of each of these integrations that had one, whether or
	// not the store has the integration. Built-ins, which are not stored, get theirs this way.
	Probed(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]LastProbe, error)

	// Approvals returns a page of the approvals of a workspace, newest first.
	Approvals(ctx context.Context, w domain.Workspace, q ApprovalQuery) (ApprovalPage, error)

	// Parked returns the integrations of all workspaces whose last event could not be
	// applied, by position.
	Parked(ctx context.Context) ([]Parked, error)

	// Workspaces returns the workspaces with an integration, by name, after one; "" is before
	// the first. There are at most limit.
	Workspaces(ctx context.Context, after domain.Workspace, limit int) ([]WorkspaceSize, error)
}

// WorkspaceSize is how many integrations a workspace has; built-ins are not counted.
type WorkspaceSize struct {
	Workspace    domain.Workspace
	Integrations int
}

// Store stores one generation of read models. There are two implementations, in the folders
// sqlite and mongo, and the suite in projectiontest specifies both.
//
// A failure of the database is a domain error of kind Unavailable with the code
// read_store_unavailable that wraps the cause.
type Store interface {
	Model

	// Schedule calls enabled for each enabled integration of all workspaces, with its interval
	// in seconds: 0 is never, and UsualInterval is that of the service. Then it calls probed
	// with the time of the last probe of each that had one, whether or not the store has the
	// integration. It reads in parts, so that no read is long and no answer large: what is
	// applied meanwhile may be left out, what was applied before is not.
	Schedule(ctx context.Context, enabled func(of domain.Ref, seconds int), probed func(of domain.Ref, at time.Time)) error

	// Apply writes a batch, and the positions it reaches last. Data that is not newer than
	// the stored data changes nothing, and positions never go back, so a batch can be applied
	// again. The error wraps ErrMoved when the store is not at the positions where the batch
	// starts.
	Apply(ctx context.Context, b Batch) error

	// Positions returns the positions up to which each log has been applied. The error wraps
	// ErrReplaced when another store has replaced the one that was opened, and ErrUnusable
	// when it must be rebuilt.
	Positions(ctx context.Context) (Positions, error)

	// Identity is a unique name that the store got when it was created.
	Identity() string

	// Index completes the filling of a new generation: it creates the indexes for List, if
	// filling is faster without them, and makes sure that everything is on disk. It may be
	// called again.
	Index(ctx context.Context) error

	// Ping verifies that the store can be read.
	Ping(ctx context.Context) error

	// Close closes the database. Afterwards every method returns Unavailable.
	Close() error
}

// Integration is an integration and its last probe.
type Integration struct {
	domain.Integration
	LastProbe *LastProbe // nil: not probed since it was created
}

// LastProbe is the part of a probe that listings show.
type LastProbe struct {
	Status     domain.ProbeStatus `json:"status"`
	At         time.Time          `json:"at"` // UTC, in microseconds
	HTTPStatus int                `json:"http_status,omitempty"`
	Duration   time.Duration      `json:"duration_ns"`
	Message    string             `json:"message"`
}

// Shown returns the part of the probe that the API shows; nil for nil.
func (p *LastProbe) Shown() *representation.Probe {
	if p == nil {
		return nil
	}
	return &representation.Probe{Status: p.Status, Message: p.Message, At: p.At}
}

// Batch has the changes of a range of the logs.
type Batch struct {
	Documents      []Document         // at most one for each integration
	Probes         []ProbeResult      // at most one for each integration
	Authorizations []Authorization    // at most one for each
	Approvals      []ApprovalDocument // at most one for each approval
	Parked         []Parked
	From           *Positions // the required positions of the store in each log that Reached moves; nil: any
	Reached        Positions  // stored last; zero keeps the position of that log
}

// Document is the state of an integration after the event at a position. Deleted integrations
// are stored too, so that a projector that lags behind another can't bring them back.
type Document struct {
	Position    uint64
	Integration domain.Integration
	Encoded     *Encoded // by EncodeAll, to save the store doing it; nil: not yet
}

// ProbeResult is the last probe of an integration. It is stored separately from the document,
// so that neither overwrites the other. A result of a later incarnation replaces one of an
// earlier incarnation, whatever their positions.
type ProbeResult struct {
	Position    uint64 // in the log of probes
	Workspace   domain.Workspace
	ID          domain.ID
	Incarnation uint64 // only shown with a document of the same incarnation
	LastProbe
}

// Parked is an integration that is shown as it was before the event at Position, because that
// event can't be applied. A later event that applies ends it.
type Parked struct {
	Position  uint64
	Workspace domain.Workspace
	ID        domain.ID
	Reason    string
	At        time.Time // when the event was recorded, if known; UTC, in microseconds
}

// Positions has the position in each log up to which events have been applied. Zero is before
// the first.
type Positions struct {
	Integrations uint64
	Probes       uint64
	Approvals    uint64
}

// ErrMoved means that a store is not at the positions where a batch starts: it went back to an
// earlier state, or another projector was faster.
var ErrMoved = errors.New("the read model is at another position than it was left at")

// ErrReplaced means that another store has replaced the one that was opened.
var ErrReplaced = errors.New("the read model was replaced by another one")

// CanFollow returns nil when a batch may move a store from these positions. That includes a
// batch that has already been applied.
func (b Batch) CanFollow(at Positions) error {
	if b.From == nil {
		return nil
	}
	for _, log := range []struct{ from, at, to uint64 }{
		{b.From.Integrations, at.Integrations, b.Reached.Integrations},
		{b.From.Probes, at.Probes, b.Reached.Probes},
		{b.From.Approvals, at.Approvals, b.Reached.Approvals},
	} {
		if log.to != 0 && log.at != log.from && log.at != log.to {
			return Unavailable(fmt.Errorf("%w: it is at %d, not at %d", ErrMoved, log.at, log.from))
		}
	}
	return nil
}

// Unavailable returns the error for any failure of the database.
func Unavailable(cause error) error {
	return domain.Wrap(cause, domain.Unavailable, "read_store_unavailable", "the read model is unavailable; try again")
}

// UnavailableUntil returns the error for a failure of the database that an operator must fix.
func UnavailableUntil(cause error, wrong string) error {
	return domain.Wrap(cause, domain.Unavailable, "read_store_unavailable", "the read model is unavailable: "+wrong)
}
