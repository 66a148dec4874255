package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// Compared is the result of comparing a log with its archive.
type Compared struct {
	Log         transparency.Log `json:"log"`
	Position    uint64           `json:"position"`     // up to here the archive has the log
	Events      uint64           `json:"events"`       // that both have, byte for byte the same
	OnlyArchive uint64           `json:"only_archive"` // that the log no longer has
	Removed     uint64           `json:"removed"`      // of those, that were removed because the archive has them
	OnlyLog     uint64           `json:"only_log"`     // of which the archive has the hash only
	Problems    []string         `json:"-"`
}

// maxProblems bounds how many problems of an archive are listed.
const maxProblems = 20

// Compare compares a log with its archive, up to the end of the archive: each message that both
// have, byte for byte, and the archive with the tree of the log. What is wrong with the archive,
// or can't be read of it, is a problem, and so is what the log has lost since it was archived. An
// error means that the log or its tree can't be read.
func (a Archive) Compare(ctx context.Context, log *trees.Reader, progress func(position, to uint64)) (Compared, error) {
	return a.compare(ctx, log, func(transparency.Entry, bool) {}, progress)
}

// compare is Compare, and calls each with the messages of the log up to the end of the archive, and
// whether the archive has the same.
func (a Archive) compare(ctx context.Context, log *trees.Reader, each func(stored transparency.Entry, archived bool), progress func(position, to uint64)) (Compared, error) {
	c := comparing{Compared: Compared{Log: a.Log, Problems: []string{}}, each: each}
	if a.Log == transparency.Integrations {
		var err error
		if c.removed, err = log.Events.RemovedNow(ctx); err != nil {
			return c.Compared, err
		}
	}
	tree, last, err := log.Signed(ctx, a.Log)
	if err != nil {
		return c.Compared, err
	}
	c.last = last
	key, err := transparency.ParseKey(log.Key.Public())
	if err != nil {
		return c.Compared, err
	}
	end, err := a.Check(ctx, tree, key)
	if err != nil {
		c.problem(err)
		if !errors.Is(err, errLost) {
			return c.Compared, ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(ctx) // ends the reading of both
	defer cancel()
	next, stop := iter.Pull2(entriesOf(ctx, log, a.Log, end.To))
	defer stop()
	c.since = func(removed *eventstore.Positions, position uint64) (*eventstore.Positions, error) {
		return log.Events.RemovedSince(ctx, removed, position, position)
	}
	c.log, c.expires, c.accepted = next, a.Log.Expires(), log.Events.Lineage().Accepted > 0
	for segment, err := range a.Segments(ctx, key, 0) {
		if err != nil {
			c.list()
			c.problem(err)
			return c.Compared, ctx.Err()
		}
		if segment.To > end.To { // it has grown since
			break
		}
		if err := c.segment(segment); err != nil {
			return c.Compared, err
		}
		c.Position = segment.To
		progress(c.Position, end.To)
	}
	c.list()
	return c.Compared, ctx.Err()
}

// entriesOf yields the messages of a log up to a position.
func entriesOf(ctx context.Context, log *trees.Reader, of transparency.Log, to uint64) iter.Seq2[transparency.Entry, error] {
	return func(yield func(transparency.Entry, error) bool) {
		for batch, err := range log.Events.Messages(ctx, log.Streams[of], ">", 0, to) {
			if err != nil {
				yield(transparency.Entry{}, err)
				return
			}
			for _, m := range batch {
				if !yield(trees.EntryOf(m), nil) {
					return
				}
			}
		}
	}
}

// comparing is a comparison that is running.
type comparing struct {
	Compared

	log      func() (transparency.Entry, error, bool)
	each     func(stored transparency.Entry, archived bool)
	removed  *eventstore.Positions
	since    func(removed *eventstore.Positions, position uint64) (*eventstore.Positions, error) // reads them again
	ahead    *transparency.Entry                                                                 // of the log, behind what was compared
	ended    bool
	expires  bool   // messages of the log may be gone
	accepted bool   // an operator has accepted that some are
	gone     span   // that the log lacks, not listed yet
	last     uint64 // of the log: nothing behind it has expired or was accepted as lost
}

// span is a range of positions, both ends included; the zero span is empty.
type span struct{ From, To uint64 }

func (c *comparing) problem(err error) {
	if len(c.Problems) < maxProblems {
		c.Problems = append(c.Problems, fmt.Sprintf("%s: %v", c.Log, err))
	}
}

// segment compares what the log has at the positions of a segment.
func (c *comparing) segment(s Segment) error {
	for _, archived := range s.Entries {
		if err := c.only(archived.Position); err != nil {
			return err
		}
		stored, err := c.peek()
		if err != nil {
			return err
		}
		if stored == nil || stored.Position != archived.Position {
			if err := c.lacks(archived.Position); err != nil {
				return err
			}
			continue
		}
		c.ahead = nil
		same := bytes.Equal(stored.Encode(), archived.Encode())
		if c.each(*stored, same); !same {
			c.problem(fmt.Errorf("position %d differs: the log and the archive have different messages", archived.Position))
			continue
		}
		c.Events++
	}
	return c.only(s.To + 1)
}

// only counts the messages of the log before a position, of which the archive has hashes.
func (c *comparing) only(before uint64) error {
	for {
		stored, err := c.peek()
		if err != nil || stored == nil || stored.Position >= before {
			return err
		}
		c.OnlyLog++
		c.each(*stored, false)
		c.ahead = nil
	}
}

// peek returns the next message of the log, nil at its end.
func (c *comparing) peek() (*transparency.Entry, error) {
	if c.ahead == nil && !c.ended {
		stored, err, more := c.log()
		if err != nil {
			return nil, err
		}
		if c.ended = !more; more {
			c.ahead = &stored
		}
	}
	return c.ahead, nil
}

// lacks records a message that the archive has, and the log no longer.
func (c *comparing) lacks(position uint64) (err error) {
	c.OnlyArchive++
	following := c.gone.To+1 == position && c.gone.From > 0 && c.gone.To != c.last
	if c.Log == transparency.Integrations && !following { // of the positions after a lost one, none is asked for again
		if c.removed, err = c.since(c.removed, position); err != nil {
			return err
		}
	}
	if c.removed.Has(position) {
		c.Removed++
		return nil
	}
	if following {
		c.gone.To = position
		return nil
	}
	c.list()
	c.gone = span{position, position}
	return nil
}

// list lists the messages that the log lacks, unless it may.
func (c *comparing) list() {
	if c.gone.From > 0 && (c.gone.From > c.last || !c.expires && !c.accepted) {
		c.problem(fmt.Errorf("positions %d to %d are missing from the log; the archive has them", c.gone.From, c.gone.To))
	}
	c.gone = span{}
}

// Logs returns the logs of which there is an archive.
func Logs(ctx context.Context, from Objects) ([]transparency.Log, error) {
	var all []transparency.Log
	for _, log := range transparency.Logs() {
		starts, err := Archive{Objects: from, Log: log}.starts(ctx)
		if err != nil {
			return nil, err
		}
		if len(starts) > 0 {
			all = append(all, log)
		}
	}
	if len(all) == 0 {
		return nil, errNoArchive
	}
	return all, nil
}

var errNoArchive = errors.New("there is no archive of any log here")
