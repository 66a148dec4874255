package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
)

// compareArchives compares each log of which there is an archive with it.
func (v *verification) compareArchives(ctx context.Context) error {
	if v.Archive == nil || v.Proofs == nil {
		return nil
	}
	logs, err := archive.Logs(ctx, v.Archive)
	if err != nil {
		v.problem("the archive: %v", err)
		return ctx.Err()
	}
	for _, log := range logs {
		if err := v.compareArchive(ctx, log); err != nil {
			return fmt.Errorf("compare %s with its archive: %w", log, err)
		}
	}
	return nil
}

func (v *verification) compareArchive(ctx context.Context, log transparency.Log) error {
	if slices.ContainsFunc(v.report.Trees, func(t Tree) bool { return t.Log == log }) {
		progress := terminal.NewProgress(v.Progress, "archived positions of "+string(log), 0)
		defer progress.Done()
		c, err := archive.Archive{Objects: v.Archive, Log: log}.Compare(ctx, v.Proofs, func(position, to uint64) {
			progress.SetTotal(int(to))  //nolint:gosec // a count of events fits
			progress.Set(int(position)) //nolint:gosec // as above
		})
		if domain.KindOf(err) != domain.NotFound {
			for _, p := range c.Problems {
				v.problem("%s", p)
			}
			v.report.Archives = append(v.report.Archives, c)
			return err
		}
	}
	v.problem("%s: nothing is signed of this log since it was restored or lost events, so it can't be compared with its archive; start the service, which signs it, and verify again", log)
	return nil
}
