// Package projections keeps the read models that the API lists and shows from,
// and follows the log to keep them current.
//
// Its one promise: what has been applied up to a position shows everything up
// to that position, however often an event is applied again, and whichever
// store keeps it. A read model can be thrown away at any time; the log builds
// it anew.
package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Model is what can be read of a Store.
type Model interface {
	// Get returns the integration of that workspace, or
	// domain.NoSuchIntegration when there is none or it is deleted.
	Get(ctx context.Context, w domain.Workspace, id domain.ID) (Integration, error)

	// List returns a page of the integrations of a workspace.
	List(ctx context.Context, w domain.Workspace, q Query) (Page, error)

	// Probed returns the last probe of each of these integrations that had one,
	// whether or not the store holds the integration. It is how built-ins, which
	// are not stored, come by theirs.
	Probed(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]LastProbe, error)

	// Parked returns the integrations of all workspaces whose last event could
	// not be applied, by position.
	Parked(ctx context.Context) ([]Parked, error)
}

// Store keeps one generation of read models. There are two implementations, in
// the folders sqlite and mongo, and the suite in projectiontest says what both do.
//
// A failure of the database is a domain error of kind Unavailable with the code
// read_store_unavailable and the cause kept.
type Store interface {
	Model

	// Apply writes a batch, and the positions it reaches after everything else.
	// What is older than, or the same as, what is stored changes nothing, and
	// positions never go back: applying a batch again is harmless. ErrMoved is in
	// the error when the store doesn't stand where the batch begins.
	Apply(ctx context.Context, b Batch) error

	// Positions returns how far each log has been applied. ErrReplaced is in the
	// error when another store has taken the place of the one that was opened, and
	// ErrUnusable when it must be built anew.
	Positions(ctx context.Context) (Positions, error)

	// Identity names the store. It was given when the store was created, and no
	// other one has it.
	Identity() string

	// Index ends the filling of a new generation: it makes what List runs along,
	// where filling is faster without, and sees to it that what was applied is on
	// disk. Doing it again changes nothing.
	Index(ctx context.Context) error

	// Ping proves that the store can be read.
	Ping(ctx context.Context) error

	// Close lets go of the database. Afterwards everything is Unavailable.
	Close() error
}

// Integration is an integration and what its last probe saw.
type Integration struct {
	domain.Integration
	LastProbe *LastProbe // nil: not probed since it was created
}

// LastProbe is what is shown of a probe in listings.
type LastProbe struct {
	Status     domain.ProbeStatus `json:"status"`
	At         time.Time          `json:"at"` // UTC, in microseconds
	HTTPStatus int                `json:"http_status,omitempty"`
	Duration   time.Duration      `json:"duration_ns"`
	Message    string             `json:"message"`
}

// Batch is what a stretch of the logs comes to.
type Batch struct {
	Documents []Document    // at most one for each integration
	Probes    []ProbeResult // at most one for each integration
	Parked    []Parked
	From      *Positions // where the store has to stand in each log that Reached moves; nil: anywhere
	Reached   Positions  // stored last; a zero leaves that log's position as it is
}

// Document is the state of an integration after the event at a position. A
// deleted one is stored too, so that a projector that lags behind another can't
// bring the integration back.
type Document struct {
	Position    uint64
	Integration domain.Integration
}

// ProbeResult is the last probe of an integration. It is kept apart from the
// document, so that neither overwrites the other. One of a later incarnation
// replaces one of an earlier, whatever their positions.
type ProbeResult struct {
	Position    uint64 // in the log of probes
	Workspace   domain.Workspace
	ID          domain.ID
	Incarnation uint64 // shown only beside a document of the same incarnation
	LastProbe
}

// Parked is an integration that is shown as it was before the event at
// Position, because that event can't be applied. A later event that can be
// takes it off the list.
type Parked struct {
	Position  uint64
	Workspace domain.Workspace
	ID        domain.ID
	Reason    string
	At        time.Time // when the event was recorded, as far as is known; UTC, in microseconds
}

// Positions says how far into each log the events have been applied. Zero is
// before the first.
type Positions struct {
	Integrations uint64
	Probes       uint64
}

// ErrMoved says that a store stands elsewhere than a batch begins: it went back to
// an earlier state, or another projector was faster.
var ErrMoved = errors.New("the read model does not stand where it was left")

// ErrReplaced says that another store has taken the place of the one that was
// opened.
var ErrReplaced = errors.New("the read model was replaced by another one")

// CanFollow returns nil when a batch may move the positions of a store that stands
// at these. To have been applied already is as good.
func (b Batch) CanFollow(at Positions) error {
	if b.From == nil {
		return nil
	}
	for _, log := range []struct{ from, at, to uint64 }{
		{b.From.Integrations, at.Integrations, b.Reached.Integrations}, {b.From.Probes, at.Probes, b.Reached.Probes},
	} {
		if log.to != 0 && log.at != log.from && log.at != log.to {
			return Unavailable(fmt.Errorf("%w: it stands at %d, not at %d", ErrMoved, log.at, log.from))
		}
	}
	return nil
}

// Unavailable returns the error of a store whose database is away. Stores use
// it for every failure of the database.
func Unavailable(cause error) error {
	return domain.Because(cause, domain.Unavailable, "read_store_unavailable", "the read model is not available at the moment; try again")
}

// UnavailableUntil returns the error of a store whose database can't be used until
// an operator has mended what is wrong.
func UnavailableUntil(cause error, wrong string) error {
	return domain.Because(cause, domain.Unavailable, "read_store_unavailable", "the read model is not available: "+wrong)
}
