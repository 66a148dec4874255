package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/durablefile"
)

// markFile remembers the last event that was seen on disk. It lies beside the log,
// not in it, so that a log that is gone, or lost its end, is recognised.
func (f storeFlags) markFile() string { return f.path("log.mark") }

// readMark returns the mark of a data folder, the zero Mark when it has none.
func (f storeFlags) readMark() (m eventstore.Mark, err error) {
	data, err := os.ReadFile(f.markFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err == nil:
		if err := json.Unmarshal(data, &m); err != nil {
			return m, fmt.Errorf("%s is damaged (%w): check the disk, and move the file away to go on without the event that it remembers", f.markFile(), err)
		}
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("read %s: %w", f.markFile(), err)
	}
	return m, nil
}

func (f storeFlags) saveMark(m eventstore.Mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.markFile(), err)
	}
	if err := durablefile.Write(f.markFile(), data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", f.markFile(), err)
	}
	return nil
}

// guard returns what watches over the log, once it has looked at it.
func (f storeFlags) guard(ctx context.Context, events *eventstore.Store, log *slog.Logger) (*eventstore.Guard, error) {
	mark, err := f.readMark()
	if err != nil {
		return nil, err
	}
	g := &eventstore.Guard{Store: events, Saved: mark, Save: f.saveMark, Log: log}
	if _, err := g.Check(ctx); err != nil {
		return nil, fmt.Errorf("check the event log: %w", err)
	}
	return g, nil
}

// ensureOperator makes an operator key when the log has none. A log that lost
// something may have lost the key.
func (f storeFlags) ensureOperator(ctx context.Context, keys *access.Keys, events *eventstore.Store, log *slog.Logger) error {
	file := slog.String("file", f.path("operator.key"))
	if events.Intact() != nil {
		log.WarnContext(ctx, "no operator key is made while the event log is incomplete", file)
		return nil
	}
	found, err := keys.EnsureOperator(ctx, f.path("operator.key"))
	switch {
	case err != nil:
		return err
	case found == access.OperatorMade:
		log.InfoContext(ctx, "made an operator key", file)
	case found == access.OperatorElsewhere:
		log.InfoContext(ctx, "this log has an operator key already, which is not in this data folder; `integrations keys create --operator` makes another", file)
	}
	return nil
}
