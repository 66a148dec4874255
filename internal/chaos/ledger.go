package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Ledger is the content of the log, which a history is compared with.
type Ledger struct {
	last      uint64           // position
	byRequest map[string]entry // by the X-Request-Id that caused them
	byName    map[string]entry // the last of each integration
	problems  []string
}

// entry is an event of the log.
type entry struct {
	position, version uint64
	name, marker      string
	deleted           bool
}

// NewLedger returns a ledger that has read nothing.
func NewLedger() *Ledger {
	return &Ledger{byRequest: map[string]entry{}, byName: map[string]entry{}}
}

// Last returns the position of the last event it has read.
func (l *Ledger) Last() uint64 { return l.last }

// Read reads events that follow those it has read: CloudEvents, a line each.
func (l *Ledger) Read(from io.Reader) error {
	type integration struct {
		Name        string `json:"name"`
		Version     uint64 `json:"version"`
		DisplayName string `json:"display_name"`
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Type      string `json:"type"`
			Sequence  string `json:"sequence"`
			RequestID string `json:"requestid"`
			Data      struct {
				integration             // of a deletion
				Integration integration `json:"integration"`
			} `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return fmt.Errorf("an event that can't be read: %w: %.200s", err, lines.Bytes())
		}
		position, err := strconv.ParseUint(event.Sequence, 10, 64)
		if err != nil {
			return fmt.Errorf("an event without a position: %.200s", lines.Bytes())
		}
		i := event.Data.Integration
		e := entry{position: position, deleted: strings.HasPrefix(event.Type, "integration.deleted.")}
		if e.deleted {
			i = event.Data.integration
		}
		e.name, e.version, e.marker = i.Name, i.Version, i.DisplayName
		l.add(event.RequestID, e)
	}
	return lines.Err()
}

func (l *Ledger) add(request string, e entry) {
	if first, twice := l.byRequest[request]; twice {
		l.problem("request %s was made twice, at %d and at %d", request, first.position, e.position)
	}
	if before := l.byName[e.name]; e.version != before.version+1 {
		l.problem("%s: version %d at %d follows version %d at %d", e.name, e.version, e.position, before.version, before.position)
	}
	if e.position <= l.last {
		l.problem("position %d follows position %d", e.position, l.last)
	}
	l.byRequest[request], l.byName[e.name], l.last = e, e, e.position
}

func (l *Ledger) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// Shown returns the display name and the version that the log leads to, or false
// when the integration does not exist.
func (l *Ledger) Shown(name string) (marker string, version uint64, exists bool) {
	e := l.byName[name]
	return e.marker, e.version, e.version > 0 && !e.deleted
}

// Verdict is what holding a history to the log came to.
type Verdict struct {
	Lost     int      // acknowledged writes that the log does not have as they were answered
	Late     int      // writes whose outcome was unknown, and that were made
	Problems []string // each of the lost, and whatever else must not be
}

// Judge holds a history to the log: every acknowledged write is there as it was
// answered, every refused one is not, every one whose outcome was unknown is
// wholly there or not at all, and nothing else is.
func (l *Ledger) Judge(h *History) Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := Verdict{Problems: append(append([]string(nil), l.problems...), h.strange...)}
	asked := make(map[string]bool, len(h.operations))
	for _, o := range h.operations {
		if !o.Kind.Writes() {
			continue
		}
		asked[o.Request] = true
		e, there := l.byRequest[o.Request]
		whole := there && e.name == o.Name && e.deleted == (o.Kind == Delete) && e.marker == o.Marker
		switch {
		case o.Outcome == Acknowledged && (!whole || e.position != o.Position || o.Kind != Delete && e.version != o.Version):
			v.Lost++
			v.Problems = append(v.Problems, fmt.Sprintf("%s %s of %s was acknowledged at %d as version %d; the log has %+v", o.Kind, o.Request, o.Name, o.Position, o.Version, e))
		case o.Outcome == Refused && there:
			v.Problems = append(v.Problems, fmt.Sprintf("%s %s of %s was refused with %s, and made: %+v", o.Kind, o.Request, o.Name, o.Code, e))
		case o.Outcome == Unknown && there && !whole:
			v.Problems = append(v.Problems, fmt.Sprintf("%s %s of %s was made in part: %+v", o.Kind, o.Request, o.Name, e))
		case o.Outcome == Unknown && there:
			v.Late++
		}
	}
	for request, e := range l.byRequest {
		if !asked[request] {
			v.Problems = append(v.Problems, fmt.Sprintf("nobody asked for %s: %+v", request, e))
		}
	}
	return v
}
