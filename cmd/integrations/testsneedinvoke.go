package main

import (
	"context"

	"github.com/seed677028b5/integrations/eventstore"
)

// testsNeedInvoke returns the value of the flag. Without one, logs from before the flag keep
// what they had: keys that may test endpoints there go on doing so. While the log is not
// available, the stricter value holds.
func testsNeedInvoke(ctx context.Context, events *eventstore.Store, given *bool) (bool, error) {
	isNew, err := events.NewDefault(ctx, "tests-need-invoke")
	if given != nil {
		return *given, nil
	}
	return isNew, err
}
