package eventstore

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// A Lineage identifies the log. A position is meaningful in one log only: after a
// restore or a loss, the same numbers are given to other events. So the log gets a new
// identity then, and its lineage keeps the earlier ones, each with the position up to
// which the events are the same.
type Lineage struct {
	Epochs   []Epoch `json:"epochs"`             // the present one last
	Accepted uint64  `json:"accepted,omitempty"` // how many lost events an operator has accepted

	Removed *Removal `json:"removed,omitempty"` // events that only an archive has; nil: none
}

// An Epoch is the time during which the log only grew.
type Epoch struct {
	ID     string    `json:"id"`
	After  uint64    `json:"after"`  // events up to this position are those of the previous epoch
	Probes uint64    `json:"probes"` // the same for probe results
	Stream time.Time `json:"stream"` // when the stream was created; another stream is another epoch
	Reason Reason    `json:"reason"`
	Began  time.Time `json:"began,omitzero"` // when an operator started it
}

// Reason is why an epoch started.
type Reason string

// The reasons. The service detects only the first one itself: it can't know whether
// earlier events are lost.
const (
	Created            Reason = "created" // the stream is new
	RestoredFromBackup Reason = "restored"
	Loss               Reason = "accepted" // an operator accepted the loss
)

// Removal returns the record of removed events, the zero value when there is none.
func (l Lineage) Removal() Removal {
	if l.Removed == nil {
		return Removal{}
	}
	return *l.Removed
}

// ID returns the identity of the log, empty when it is not recorded yet.
func (l Lineage) ID() string {
	if len(l.Epochs) == 0 {
		return ""
	}
	return l.Epochs[len(l.Epochs)-1].ID
}

// Has reports whether an identity is that of this log, or one that it had. An empty identity can be
// of any log, and any identity that of a log whose own is not recorded yet.
func (l Lineage) Has(id string) bool { return id == "" || len(l.Epochs) == 0 || l.index(id) >= 0 }

// Locate returns where a reader continues that has reached a position of the log with an
// id; an empty id means the oldest log, from before readers stored it. It reports whether
// the position still denotes the same event. If not, it returns the last position up to
// which both logs have the same events.
func (l Lineage) Locate(id string, position uint64) (uint64, bool) {
	return l.locate(id, position, func(e Epoch) uint64 { return e.After })
}

// LocateProbe is Locate for a position among the probe results.
func (l Lineage) LocateProbe(id string, position uint64) (uint64, bool) {
	return l.locate(id, position, func(e Epoch) uint64 { return e.Probes })
}

func (l Lineage) locate(id string, position uint64, after func(Epoch) uint64) (uint64, bool) {
	if len(l.Epochs) == 0 { // not recorded
		return position, true
	}
	at := l.index(id)
	if at < 0 {
		return 0, false
	}
	same := true
	for _, later := range l.Epochs[at+1:] {
		if after(later) < position {
			position, same = after(later), false
		}
	}
	return position, same
}

// Since returns the position after which a subscription continues that was created at a
// time, when the log was at a position. Positions that the log has since reused for other
// events are after it.
func (l Lineage) Since(asked time.Time, position uint64) uint64 {
	return l.since(asked, position, func(e Epoch) uint64 { return e.After })
}

// ProbesSince is Since for a position among the probe results.
func (l Lineage) ProbesSince(asked time.Time, position uint64) uint64 {
	return l.since(asked, position, func(e Epoch) uint64 { return e.Probes })
}

func (l Lineage) since(asked time.Time, position uint64, after func(Epoch) uint64) uint64 {
	for _, e := range l.Epochs {
		if e.Began.After(asked) {
			position = min(position, after(e))
		}
	}
	return position
}

// Name returns a string for a position that is valid in this log only: its number,
// followed by the start of the log's identity unless it is the first of its lineage.
func (l Lineage) Name(position uint64) string {
	text := strconv.FormatUint(position, 10)
	if len(l.Epochs) < 2 {
		return text
	}
	return text + "-" + l.ID()[:identityLength]
}

// identityLength is how many characters of its identity name a log within a lineage.
const identityLength = 8

// Parse returns the position of a string from Name. The error is Invalid with the code
// position_unknown when it is of another log.
func (l Lineage) Parse(text string) (uint64, error) {
	number, log, _ := strings.Cut(text, "-")
	position, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, domain.Errorf(domain.Invalid, "position_invalid", "%q is not a position: pass one exactly as it was returned", text)
	}
	at := 0
	if log != "" {
		at = slices.IndexFunc(l.Epochs, func(e Epoch) bool { return len(log) == identityLength && strings.HasPrefix(e.ID, log) })
	}
	if at >= 0 && len(l.Epochs) > 0 {
		if _, same := l.Locate(l.Epochs[at].ID, position); same {
			return position, nil
		}
	} else if log == "" {
		return position, nil
	}
	return 0, domain.Errorf(domain.Invalid, "position_unknown", "the position %s is of another log, from before a restore or a loss; start from the beginning", text)
}

// ParseCall is Parse for a position among the calls, of which the lineage keeps none: one of
// an earlier log is unknown.
func (l Lineage) ParseCall(text string) (uint64, error) {
	number, _, _ := strings.Cut(text, "-")
	position, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err != nil:
		return 0, domain.Errorf(domain.Invalid, "position_invalid", "%q is not a position: pass one exactly as it was returned", text)
	case l.Name(position) != text:
		return 0, domain.Errorf(domain.Invalid, "position_unknown", "the position %s is of another log, from before a restore or a loss; start from the beginning", text)
	}
	return position, nil
}

// index returns the index of the epoch with an id, -1 if there is none.
func (l Lineage) index(id string) int {
	if id == "" {
		return min(0, len(l.Epochs)-1)
	}
	return slices.IndexFunc(l.Epochs, func(e Epoch) bool { return e.ID == id })
}

// explained reports whether the log with an id is this one, or an operator has recorded
// why it no longer is: the latest epoch is a restore or an accepted loss.
func (l Lineage) explained(id string) bool {
	at, last := l.index(id), len(l.Epochs)-1
	return at >= 0 && (at == last || l.Epochs[last].Reason != Created)
}
