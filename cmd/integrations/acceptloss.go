package main

import (
	"encoding/json"
	"fmt"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// acceptLossCommand is the operator's word that events are gone for good.
type acceptLossCommand struct {
	Apply      bool `help:"Go on without these events. Changes are accepted again."`
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c acceptLossCommand) Run(s streams) error {
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	mark, err := c.readMark()
	if err != nil {
		return err
	}
	progress := newProgress(s.err, "events", 0)
	scrubbed, err := events.Scrub(s.ctx, func(position, head uint64) {
		progress.total = int(head) //nolint:gosec // a count of events fits
		progress.at(int(position)) //nolint:gosec // as above
	})
	if err != nil {
		return err
	}
	found, err := events.Inspect(s.ctx, scrubbed, mark)
	if err != nil {
		return err
	}
	withoutSecrets, err := secretsLost(s.ctx, b, events)
	if err == nil && withoutSecrets && c.Apply {
		_, err = vault.Open(s.ctx, b.nc, c.rootKeys(), c.Replicas)
	}
	if err != nil {
		return err
	}
	if c.Apply && !found.Whole() {
		formerly := ""
		if found.Replaced {
			formerly = mark.Log
		}
		missing := max(found.Last-min(found.Last, found.Messages), scrubbed.Missing)
		epoch := eventstore.Epoch{After: found.Last, Reason: eventstore.Loss, Began: clock()}
		if epoch.Probes, err = events.ProbeHead(s.ctx); err != nil {
			return err
		}
		if err := events.Begin(s.ctx, epoch, missing, formerly); err != nil {
			return err
		}
	}
	if c.JSON {
		err = json.NewEncoder(s.out).Encode(struct {
			eventstore.Integrity
			SecretsLost bool `json:"secrets_lost,omitempty"` // the stream of the secrets is not there
			Applied     bool `json:"applied"`
		}{found, withoutSecrets, c.Apply && (withoutSecrets || !found.Whole())})
	} else {
		_, err = fmt.Fprintf(s.out, "the log has %d events up to position %d: %s\n", found.Messages, found.Last, found.Describe())
		if withoutSecrets {
			_, err = fmt.Fprintln(s.out, "the secrets of its events are gone: the stream SECRETS is not there")
		}
		switch {
		case found.Whole() && !withoutSecrets:
		case c.Apply:
			_, err = fmt.Fprintln(s.out, "accepted: a running service goes on within 10 seconds; the read model is rebuilt")
		default:
			_, err = fmt.Fprintln(s.out, "restore a backup to have them back, or go on without them: run it again with --apply")
		}
	}
	if err == nil && !c.Apply && (withoutSecrets || !found.Whole()) {
		return errFound
	}
	return err
}
