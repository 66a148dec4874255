package main

import (
	"fmt"
	"io"
	"time"
)

// progress tells on a stream how far long work has come, once a second.
type progress struct {
	to    io.Writer
	what  string
	total int
	count int
	told  time.Time
	since time.Time
}

func newProgress(to io.Writer, what string, total int) *progress {
	now := time.Now()
	return &progress{to: to, what: what, total: total, told: now, since: now}
}

// at says that count of the total are done.
func (p *progress) at(count int) {
	p.count = count
	if now := time.Now(); now.Sub(p.told) >= time.Second {
		p.told = now
		_, _ = fmt.Fprintf(p.to, "%d of %d %s\n", count, p.total, p.what)
	}
}

// done tells the sum when the work took long enough to have told anything.
func (p *progress) done() {
	if took := time.Since(p.since); took >= time.Second {
		_, _ = fmt.Fprintf(p.to, "%d %s in %s, %.0f a second\n", p.count, p.what, took.Round(time.Millisecond), float64(p.count)/took.Seconds())
	}
}
