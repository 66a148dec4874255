package eventstore

import (
	"fmt"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// A Mark identifies an event that was on disk. It is stored outside NATS, to detect a
// log that lost its end or was replaced.
type Mark struct {
	Log      string `json:"log"`      // the identity of the log
	Position uint64 `json:"position"` // of the event; 0: the log was empty
	Hash     string `json:"hash"`     // SHA-256 of the stored event, in hex; empty: unknown
}

// A Range is a range of positions, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Integrity is the result of checking the log. The log has no limits and nothing can
// be deleted from it, so every position from 1 to the last has an event, except those that Prune has
// removed.
type Integrity struct {
	Log      string  `json:"log"` // its identity
	First    uint64  `json:"first"`
	Last     uint64  `json:"last"`
	Messages uint64  `json:"messages"`
	Missing  uint64  `json:"missing"`            // missing events that no operator has accepted as lost
	Ranges   []Range `json:"ranges,omitempty"`   // the first few ranges of missing positions
	Replaced bool    `json:"replaced,omitempty"` // an event differs from the one seen before at its position
	Accepted uint64  `json:"accepted"`           // missing events that an operator has accepted as lost
	Removed  uint64  `json:"removed,omitempty"`  // events that were removed because an archive has them
	Limited  bool    `json:"limited,omitempty"`  // changes are refused while events are removed
}

// maxRanges bounds the listed ranges.
const maxRanges = 20

// Whole reports whether no event is missing, except those accepted as lost.
func (i Integrity) Whole() bool { return i.Missing == 0 && !i.Replaced }

// Err returns an Unavailable error with the code log_incomplete that describes what is
// missing, nil when the log is whole.
func (i Integrity) Err() error {
	if i.Whole() {
		return nil
	}
	return domain.Errorf(domain.Unavailable, "log_incomplete", "the event log is incomplete: %s; changes are refused until an operator restores it or accepts the loss", i.Describe())
}

// Describe describes what is missing.
func (i Integrity) Describe() string {
	var what []string
	if i.Missing > 0 {
		var ranges []string
		for _, r := range i.Ranges {
			if r.From == r.To {
				ranges = append(ranges, fmt.Sprint(r.From))
			} else {
				ranges = append(ranges, fmt.Sprintf("%d to %d", r.From, r.To))
			}
		}
		missing := fmt.Sprintf("%d events are missing", i.Missing)
		if len(ranges) > 0 { // else a scrub finds them
			missing += " (positions " + strings.Join(ranges, ", ") + ")"
		}
		what = append(what, missing)
	}
	if i.Replaced {
		what = append(what, "recorded events have changed")
	}
	text := "nothing is missing"
	if len(what) > 0 {
		text = strings.Join(what, ", and ")
	}
	if i.Removed > 0 {
		text += fmt.Sprintf("; %d were removed, which an archive has", i.Removed)
	}
	if i.Limited {
		text += "; changes are refused while archived events are removed: if no integrations prune runs, run it again"
	}
	return text
}

// add records a missing range at the end of the log.
func (i *Integrity) add(r Range) {
	if n := len(i.Ranges); n > 0 && i.Ranges[n-1].To >= r.From {
		last := &i.Ranges[n-1]
		i.Missing += max(last.To, r.To) - last.To
		last.To = max(last.To, r.To)
		return
	}
	i.Missing += r.To - r.From + 1
	i.Ranges = append(i.Ranges, r)
}

// Scrubbed is the result of reading the whole log.
type Scrubbed struct {
	Missing uint64  // positions without a readable event
	Ranges  []Range // the first few ranges of them
	Log     string  // the identity of the log at that time
}

// add adds the positions between two events that were not removed.
func (f *Scrubbed) add(at, next uint64, removed *Positions) {
	for _, r := range removed.Others(at+1, next-1) {
		f.Missing += r.To - r.From + 1
		if len(f.Ranges) < maxRanges {
			f.Ranges = append(f.Ranges, r)
		}
	}
}
