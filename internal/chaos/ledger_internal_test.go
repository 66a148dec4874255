package chaos

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logged is an event as replay writes it.
func logged(position uint64, request, name string, version uint64, marker string) string {
	return fmt.Sprintf(`{"type": "integration.updated.v1", "sequence": "%020d", "requestid": %q, "data": {"integration": {"name": %q, "version": %d, "display_name": %q}}}`+"\n",
		position, request, name, version, marker)
}

func deleted(position uint64, request, name string, version uint64) string {
	return fmt.Sprintf(`{"type": "integration.deleted.v1", "sequence": "%020d", "requestid": %q, "data": {"name": %q, "version": %d}}`+"\n", position, request, name, version)
}

func write(kind Kind, request string, outcome Outcome, version, position uint64) Operation {
	o := Operation{Kind: kind, Name: "crm", Request: request, Outcome: outcome, Version: version, Position: position}
	if kind != Delete {
		o.Marker = request
	}
	return o
}

func TestALogIsHeldToWhatWasAnswered(t *testing.T) {
	created := write(Create, "r1", Acknowledged, 1, 1)
	for name, row := range map[string]struct {
		given   []Operation
		log     string
		lost    int
		late    int
		problem string // "" when nothing is wrong
	}{
		"all of it is there": {
			given: []Operation{created, write(Delete, "r2", Acknowledged, 0, 2), write(Update, "r3", Refused, 0, 0)},
			log:   logged(1, "r1", "crm", 1, "r1") + deleted(2, "r2", "crm", 2),
		},
		"what was not answered is there, or not": {
			given: []Operation{created, write(Update, "r2", Unknown, 0, 0), write(Delete, "r3", Unknown, 0, 0)},
			log:   logged(1, "r1", "crm", 1, "r1") + logged(2, "r2", "crm", 2, "r2"), late: 1,
		},
		"an acknowledged write is gone":        {given: []Operation{created}, lost: 1, problem: "was acknowledged"},
		"it is there with another content":     {given: []Operation{created}, log: logged(1, "r1", "crm", 1, "other"), lost: 1, problem: "was acknowledged"},
		"it is there at another position":      {given: []Operation{created}, log: logged(7, "r1", "crm", 1, "r1"), lost: 1, problem: "was acknowledged"},
		"a refused write was made":             {given: []Operation{write(Update, "r1", Refused, 0, 0)}, log: logged(1, "r1", "crm", 1, "r1"), problem: "was refused"},
		"an unanswered write is there in part": {given: []Operation{write(Update, "r1", Unknown, 0, 0)}, log: logged(1, "r1", "crm", 1, ""), problem: "in part"},
		"a write was made twice": {
			given: []Operation{created}, log: logged(1, "r1", "crm", 1, "r1") + logged(2, "r1", "crm", 2, "r1"), lost: 1, problem: "made twice",
		},
		"a version is missing":  {given: []Operation{write(Create, "r1", Acknowledged, 2, 1)}, log: logged(1, "r1", "crm", 2, "r1"), problem: "follows version 0"},
		"nobody asked for it":   {log: logged(1, "r1", "crm", 1, "r1"), problem: "nobody asked"},
		"the log runs backward": {given: []Operation{created, write(Update, "r2", Unknown, 0, 0)}, log: logged(1, "r1", "crm", 1, "r1") + logged(1, "r2", "crm", 2, "r2"), late: 1, problem: "position 1 follows"},
	} {
		h := NewHistory()
		for _, o := range row.given {
			h.begin(&o)
			h.end(o)
		}
		l := NewLedger()
		require.NoError(t, l.Read(strings.NewReader(row.log)), name)
		v := l.Judge(h)
		require.Equal(t, row.lost, v.Lost, name)
		require.Equal(t, row.late, v.Late, name)
		if found := strings.Join(v.Problems, "\n"); row.problem == "" {
			require.Empty(t, found, name)
		} else {
			require.Contains(t, found, row.problem, name)
		}
	}
}
