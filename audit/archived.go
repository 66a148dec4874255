package audit

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// ArchivedThrough returns the last position whose event may be in an archive only, 0 when all events
// are in the log.
func (l Log) ArchivedThrough(ctx context.Context) (uint64, error) {
	removed, err := l.Events.Removed(ctx)
	return removed.Last(), err
}

// HistoryArchivedThrough is ArchivedThrough for the history of one integration: 0 when the log has
// all of it.
func (l Log) HistoryArchivedThrough(ctx context.Context, w domain.Workspace, id domain.ID) (uint64, error) {
	_, through, err := l.firstInLog(ctx, w, id)
	return through, err
}

// firstInLog returns the first event of an integration that the log has, and the last position before it
// whose event may be in an archive only.
func (l Log) firstInLog(ctx context.Context, w domain.Workspace, id domain.ID) (first eventstore.Commit, through uint64, err error) {
	first, err = l.Events.First(ctx, w, id)
	if err != nil || eventstore.VersionOf(first) <= 1 {
		return first, 0, err
	}
	removed, err := l.Events.RemovedNow(ctx)
	return first, min(removed.Last(), first.Position-1), err
}

// inArchive returns a Gone error if an integration existed at a point in its history of which the log
// no longer has the event.
func (l Log) inArchive(ctx context.Context, w domain.Workspace, id domain.ID, at AsOf) error {
	first, through, err := l.firstInLog(ctx, w, id)
	if err != nil || through == 0 {
		return err
	}
	if since := eventstore.VersionOf(first); at.Version > 0 && at.Version < since || at.Version == 0 && at.Time.Before(first.Meta.At) {
		return domain.Errorf(domain.Gone, "version_archived", "the versions of this integration before %d, of %s, were moved to an archive; an operator reads them with integrations replay --archive",
			since, first.Meta.At.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}
