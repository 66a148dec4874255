package webhooks

import (
	"context"
	"iter"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// topic is one of the logs whose events webhooks are made of.
type topic struct {
	name string // of its lease, and of the position up to which all is dispatched
	sort string // in the ids of its webhooks
	gaps bool   // whether events may be missing from the log, because its limits dropped them
	head func(context.Context) (uint64, error)

	position func(context.Context, string) (uint64, bool, error)     // that was kept under a name
	locate   func(eventstore.Lineage, string, uint64) (uint64, bool) // a position of another log

	after func(context.Context, eventstore.Selection, uint64) iter.Seq2[[]eventstore.Commit, error]
	since func(domain.WebhookDestination) uint64 // the position after which a destination wants events
}

// The names are those under which earlier versions kept their positions.
func (w *Webhooks) topics() []topic {
	events := w.config.Events
	return []topic{
		{
			name: "webhooks.integrations._all._all", sort: "c", head: events.Head, after: events.AfterIn, position: events.Position, locate: eventstore.Lineage.Locate,
			since: func(d domain.WebhookDestination) uint64 { return events.Lineage().Since(d.CreatedAt, d.AfterChange) },
		},
		{
			name: "webhooks.probes._all._all", sort: "p", gaps: true, head: events.ProbeHead, after: events.ProbesAfterIn,
			position: events.ProbePosition, locate: eventstore.Lineage.LocateProbe,
			since: func(d domain.WebhookDestination) uint64 {
				return events.Lineage().ProbesSince(d.CreatedAt, d.AfterProbe)
			},
		},
		{
			name: "webhooks.approvals._all._all", sort: "a", gaps: true, head: events.ApprovalHead, after: events.ApprovalsAfterIn,
			position: events.ApprovalPosition, locate: eventstore.Lineage.LocateApproval,
			since: func(d domain.WebhookDestination) uint64 { return d.AfterApproval },
		},
	}
}
