package verify

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// group is what totals distinguish.
type group struct {
	enabled  bool
	protocol domain.Protocol
}

// compareTotals compares the totals of the lists of a workspace with the log: the read model
// keeps them beside the integrations.
func (v *verification) compareTotals(ctx context.Context, shown projections.Model, w domain.Workspace, groups map[group]int) error {
	for _, enabled := range []*bool{nil, new(false), new(true)} {
		for _, protocol := range append(domain.Protocols(), "") {
			want := 0
			for g, n := range groups {
				if (enabled == nil || *enabled == g.enabled) && (protocol == "" || protocol == g.protocol) {
					want += n
				}
			}
			page, err := shown.List(ctx, w, projections.Query{
				Filter: projections.Filter{Enabled: enabled, Protocol: protocol}, Limit: 1,
				Sort: projections.Sort{By: projections.Name, Ascending: true}, After: &projections.Key{}, // a first page may be its own total
			})
			if err != nil {
				return err
			}
			if page.Total == want {
				continue
			}
			since, _, err := v.Events.Page(ctx, eventstore.Selection{Workspace: w}, v.head, 1)
			if err != nil {
				return err
			}
			if len(since) == 0 {
				v.problem("%s: a total of the read model differs from the log: %d integrations, and not %d (enabled: %s, protocol: %s)",
					w, page.Total, want, wordOf(enabled), orAny(string(protocol)))
			}
		}
	}
	return nil
}

func wordOf(enabled *bool) string {
	switch {
	case enabled == nil:
		return "any"
	case *enabled:
		return "true"
	}
	return "false"
}

func orAny(word string) string {
	if word == "" {
		return "any"
	}
	return word
}
