package verify

import (
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
)

// Tree is a log that was compared with its tree.
type Tree struct {
	Log       transparency.Log `json:"log"`
	Size      uint64           `json:"size"`      // positions of the last checkpoint
	Expired   uint64           `json:"expired"`   // of which only the hash is left
	Removed   uint64           `json:"removed"`   // of which an archive has the event, and the log no longer
	Held      int              `json:"held"`      // checkpoints held elsewhere that it was compared with
	Unchanged uint64           `json:"unchanged"` // up to here it is what a held checkpoint was signed for
}

// checkRemoval verifies what was signed for the events that were removed from the log.
func (v *verification) checkRemoval(ctx context.Context) error {
	if v.Proofs == nil {
		return nil
	}
	_, err := archive.VerifyRemoval(ctx, v.Proofs)
	if err != nil && !isFinding(ctx, err) {
		return fmt.Errorf("verify the record of removed events: %w", err)
	}
	if err != nil {
		v.problem("%v", err)
	}
	return nil
}

// compareTrees compares each log with its tree, and both with the held checkpoints.
func (v *verification) compareTrees(ctx context.Context) error {
	if v.Proofs == nil {
		return nil
	}
	for _, log := range transparency.Logs() {
		if _, kept := v.Proofs.Streams[log]; !kept {
			continue
		}
		held := v.Held
		if len(transparency.HeldSizes(held, log)) == 0 {
			held = nil
		}
		c, err := v.Proofs.Check(ctx, log, held)
		if domain.KindOf(err) == domain.NotFound || err == nil && c.Replaced { // no service has followed it yet
			if held != nil {
				v.problem("%s: nothing is signed of this log since it was restored or lost events, so it can't be compared with the held checkpoints; start the service, which signs it, and verify again", log)
			}
			continue
		}
		if err != nil && !isFinding(ctx, err) {
			return fmt.Errorf("compare %s with its tree: %w", log, err)
		}
		if err != nil {
			v.problem("%s can't be compared with its tree: %v", log, err)
			continue
		}
		for _, p := range c.Problems {
			v.problem("%s", p)
		}
		v.report.Trees = append(v.report.Trees, Tree{Log: log, Size: c.Size, Expired: c.Expired, Removed: c.Removed, Held: c.Held, Unchanged: c.Unchanged})
	}
	return nil
}
