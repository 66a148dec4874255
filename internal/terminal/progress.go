package terminal

import (
	"fmt"
	"io"
	"time"
)

// minDuration is how long work takes before its progress or its total is shown.
const minDuration = time.Second

// Progress shows how much of a known amount of work is done, once a second.
type Progress struct {
	to      io.Writer
	unit    string
	total   int
	count   int
	started time.Time
	shown   time.Time
}

// NewProgress starts to measure work on total units, such as "events".
func NewProgress(to io.Writer, unit string, total int) *Progress {
	now := time.Now()
	return &Progress{to: to, unit: unit, total: total, started: now, shown: now}
}

// SetTotal corrects the total.
func (p *Progress) SetTotal(total int) { p.total = total }

// Set records that count units are done.
func (p *Progress) Set(count int) {
	p.count = count
	if now := time.Now(); now.Sub(p.shown) >= minDuration {
		p.shown = now
		_, _ = fmt.Fprintf(p.to, "%d of %d %s\n", count, p.total, p.unit)
	}
}

// Done shows the total and the rate of work that took longer than a second.
func (p *Progress) Done() {
	if took := time.Since(p.started); took >= minDuration {
		_, _ = fmt.Fprintf(p.to, "%d %s in %s, %.0f a second\n", p.count, p.unit, took.Round(time.Millisecond), float64(p.count)/took.Seconds())
	}
}

// rateEvery is how often Rate shows the rate.
const rateEvery = 5 * time.Second

// Rate shows the rate of work whose amount is not known, every 5 seconds.
type Rate struct {
	to         io.Writer
	count      int
	shownCount int
	started    time.Time
	shown      time.Time
}

// NewRate starts to measure events.
func NewRate(to io.Writer) *Rate {
	now := time.Now()
	return &Rate{to: to, started: now, shown: now}
}

// Add records that count more events are done, up to a position.
func (r *Rate) Add(count int, position uint64) {
	r.count += count
	now := time.Now()
	if took := now.Sub(r.shown); took >= rateEvery {
		_, _ = fmt.Fprintf(r.to, "position %d, %.0f events a second\n", position, float64(r.count-r.shownCount)/took.Seconds())
		r.shown, r.shownCount = now, r.count
	}
}

// Done shows the total and the rate of work that took longer than a second.
func (r *Rate) Done(position uint64) {
	if took := time.Since(r.started); took >= minDuration {
		_, _ = fmt.Fprintf(r.to, "%d events up to position %d in %s, %.0f a second\n", r.count, position, took.Round(time.Millisecond), float64(r.count)/took.Seconds())
	}
}
