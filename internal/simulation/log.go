package simulation

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/internal/natsmodel"
)

// entry is an event of the log.
type entry struct {
	position         uint64
	at               time.Duration
	request, command string
	name, id         string
	version          uint64
	marker           string
	deleted          bool
}

// state is an integration at a moment: it exists if it has a marker.
type state struct {
	version uint64
	marker  string
}

func (s state) exists() bool { return s.marker != "" }

func entryOf(m natsmodel.Message, began time.Time) (entry, error) {
	type integration struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Version     uint64 `json:"version"`
		DisplayName string `json:"display_name"`
	}
	var data struct {
		integration
		Integration *integration `json:"integration"`
	}
	err := json.Unmarshal(m.Data, &data)
	e := entry{
		position: m.Sequence, at: m.At.Sub(began), request: m.Header.Get("ce-requestid"), command: m.Header.Get("ce-id"),
		deleted: strings.HasPrefix(m.Header.Get("ce-type"), "integration.deleted."),
	}
	i := data.integration
	if data.Integration != nil {
		i = *data.Integration
	}
	e.name, e.id, e.version, e.marker = i.Name, m.Header.Get("ce-subject"), i.Version, i.DisplayName
	return e, err
}

func (e entry) state() state {
	if e.deleted {
		return state{version: e.version}
	}
	return state{e.version, e.marker}
}
