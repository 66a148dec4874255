package simulation

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
)

// inBubble calls do in a synctest bubble. The package testing is the only way into one, and
// takes a test; one that nobody runs will do. Runs follow each other; on one processor, so
// that goroutines take turns in much the same order each time.
func inBubble(do func(settled func())) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	forget()
	synctest.Test(new(testing.T), func(*testing.T) { do(synctest.Wait) })
}

// forget empties every sync.Pool: nats.go keeps timers in one, and those of a bubble can't be
// used in the next.
func forget() {
	runtime.GC()
	runtime.GC()
}

// Once makes one run in a bubble of its own, with these steps or, without any, with those
// that follow from the seed. It calls done with the report before the bubble ends: with a
// goroutine left in it, the process ends in a panic.
func Once(seed uint64, steps []Step, done func(Report) error) (err error) {
	folder, err := os.MkdirTemp("", "simulate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	inBubble(func(settled func()) { err = done(Run(Config{Seed: seed, Steps: steps, Folder: folder}, settled)) })
	return err
}
