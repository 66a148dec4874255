package eventstore

import "slices"

// A Retention counts the events on each subject of the log: of an integration, or of an
// authorization. It takes 4 bytes for each position, and some 100 for each subject.
type Retention struct {
	numbers map[string]uint32 // of subjects
	counts  []uint64          // events on each subject, by its number
	of      []uint32          // the number of the subject at each position, from 1; 0: no event
}

// Add adds an event behind the others.
func (r *Retention) Add(subject string, position uint64) {
	if r.numbers == nil {
		r.numbers = map[string]uint32{}
	}
	n, known := r.numbers[subject]
	if !known {
		r.counts = append(r.counts, 0)
		n = uint32(len(r.counts)) //nolint:gosec // there are fewer subjects
		r.numbers[subject] = n
	}
	for uint64(len(r.of)) < position-1 {
		r.of = append(r.of, 0)
	}
	r.of = append(r.of, n)
	r.counts[n-1]++
}

// Position returns the position of the last event that was added.
func (r *Retention) Position() uint64 { return uint64(len(r.of)) }

// Events returns how many events were added.
func (r *Retention) Events() (events uint64) {
	for _, count := range r.counts {
		events += count
	}
	return events
}

// Beyond returns the positions of the events that are not among the last keep on their subject.
func (r *Retention) Beyond(keep uint64) *Positions {
	beyond, later := &Positions{}, make([]uint64, len(r.counts))
	for at, n := range slices.Backward(r.of) {
		if n == 0 {
			continue
		}
		if later[n-1] >= keep {
			beyond.Add(uint64(at) + 1) //nolint:gosec // not negative
		}
		later[n-1]++
	}
	return beyond
}

// limits returns numbers of events per subject, each lower than the one before, the last one keep,
// so that going from one to the next removes some maxEvents, or those of one number.
func (r *Retention) limits(keep, maxEvents uint64) (limits []uint64) {
	if len(r.counts) == 0 {
		return []uint64{keep}
	}
	counts := slices.Clone(r.counts)
	slices.Sort(counts)
	removed, above := uint64(0), 0 // subjects that have more events than limit
	for limit := counts[len(counts)-1]; limit > keep; limit-- {
		for above < len(counts) && counts[len(counts)-1-above] >= limit {
			above++
		}
		if removed > 0 && removed+uint64(above) > maxEvents {
			limits, removed = append(limits, limit), 0
		}
		removed += uint64(above)
	}
	return append(limits, keep)
}
