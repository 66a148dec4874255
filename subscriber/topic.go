package subscriber

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Topic selects events: integrations or probes, a workspace and the id of an
// integration, separated by dots, where * selects all. As a string it is the topic of a
// Watermill Router.
type Topic string

// Changes is the topic of the changes of the integrations in a workspace: events of
// type Created, Updated and Deleted. An empty workspace selects all workspaces.
func Changes(workspace string) Topic { return newTopic("integrations", workspace) }

// Probes is the topic of the results of probes in a workspace: events of type Probed.
// An empty workspace selects all workspaces.
func Probes(workspace string) Topic { return newTopic("probes", workspace) }

func newTopic(log, workspace string) Topic {
	if workspace == "" {
		workspace = "*"
	}
	return Topic(log + "." + workspace + ".*")
}

// Of returns the topic of one integration, by its id.
func (t Topic) Of(integration string) Topic {
	return Topic(strings.TrimSuffix(string(t), "*") + integration)
}

// source is the log of a topic.
type source struct {
	key   string // of the position that is stored
	head  func(context.Context) (uint64, error)
	after func(context.Context, uint64) iter.Seq2[[]eventstore.Commit, error]
	// locate returns the position in this log of a position of another log.
	locate   func(eventstore.Lineage, string, uint64) (uint64, bool)
	position func(context.Context, string) (uint64, bool, error)
}

func (s *Subscriber) source(topic Topic) (source, error) {
	parts := strings.Split(string(topic), ".")
	var of eventstore.Selection
	ok := len(parts) == 3
	if ok && parts[1] != "*" {
		var err error
		of.Workspace, err = domain.ParseWorkspace(parts[1])
		ok = err == nil
	}
	if ok && parts[2] != "*" {
		of.ID = domain.ID(parts[2])
		ok = domain.ParseID("", parts[2]) == of.ID
	}
	if ok {
		key := s.config.Name + "." + strings.ReplaceAll(string(topic), "*", "_all")
		switch parts[0] {
		case "integrations":
			return source{key, s.events.Head, func(ctx context.Context, at uint64) iter.Seq2[[]eventstore.Commit, error] {
				return s.events.AfterIn(ctx, of, at)
			}, eventstore.Lineage.Locate, s.events.Position}, nil
		case "probes":
			return source{key, s.events.ProbeHead, func(ctx context.Context, at uint64) iter.Seq2[[]eventstore.Commit, error] {
				return s.events.ProbesAfterIn(ctx, of, at)
			}, eventstore.Lineage.LocateProbe, s.events.ProbePosition}, nil
		}
	}
	return source{}, fmt.Errorf("topic %q: it must be integrations or probes, a workspace and an integration id, separated by dots, where * selects all", topic)
}
