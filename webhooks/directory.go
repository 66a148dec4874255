package webhooks

import "github.com/seed677028b5/integrations/domain"

// entry is a destination as it was stored at a revision; one without an id was
// deleted there.
type entry struct {
	destination domain.WebhookDestination
	revision    uint64
}

func (e entry) exists() bool { return e.destination.ID != "" }

// directory holds destinations by workspace and id. Of a deleted one the revision
// stays.
type directory map[domain.Workspace]map[string]entry

// put keeps what is stored under an id, and reports whether it is later than what
// was known.
func (all directory) put(w domain.Workspace, id string, e entry) bool {
	if all[w][id].revision >= e.revision {
		return false
	}
	if all[w] == nil {
		all[w] = map[string]entry{}
	}
	all[w][id] = e
	return true
}

func keyOf(w domain.Workspace, id string) string { return string(w) + "." + id }
