package trees

import (
	"context"

	"github.com/seed677028b5/integrations/transparency"
)

// Look makes the tree of a log grow until something fails, without an earlier look.
func (f *Follower) Look(ctx context.Context, log transparency.Log) error {
	return f.follow(ctx, log, f.Streams[log], "")
}
