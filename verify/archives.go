package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// compareArchives compares each log of which there is an archive with it, and returns the results
// and what is wrong.
func compareArchives(ctx context.Context, from archive.Objects, proofs *trees.Reader, to io.Writer) (all []archive.Compared, problems []string, err error) {
	logs, err := archive.Logs(ctx, from)
	if err != nil {
		return nil, []string{fmt.Sprintf("the archive: %v", err)}, ctx.Err()
	}
	for _, log := range logs {
		c, err := compareArchive(ctx, archive.Archive{Objects: from, Log: log}, proofs, to)
		if domain.KindOf(err) == domain.NotFound || errors.Is(err, trees.ErrUnsigned) {
			problems = append(problems, fmt.Sprintf("%s: nothing is signed of this log since it was restored or lost events, so it can't be compared with its archive; start the service, which signs it, and verify again", log))
			continue
		}
		if err != nil && !isFinding(ctx, err) {
			return nil, nil, fmt.Errorf("compare %s with its archive: %w", log, err)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s can't be compared with its archive: %v", log, err))
		}
		all, problems = append(all, c), append(problems, c.Problems...)
	}
	return all, problems, nil
}

func compareArchive(ctx context.Context, a archive.Archive, proofs *trees.Reader, to io.Writer) (archive.Compared, error) {
	progress := terminal.NewProgress(to, "archived positions of "+string(a.Log), 0)
	defer progress.Done()
	return a.Compare(ctx, proofs, func(position, end uint64) {
		progress.SetTotal(int(end)) //nolint:gosec // a count of events fits
		progress.Set(int(position)) //nolint:gosec // as above
	})
}
