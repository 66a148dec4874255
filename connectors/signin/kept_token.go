package signin

import (
	"fmt"
	"time"
)

const (
	firstWait       = 200 * time.Millisecond // before a busy token endpoint is tried again, give or take half
	maxIssueTime    = 10 * time.Second
	maxLifetime     = 24 * time.Hour
	defaultLifetime = 5 * time.Minute // of a token whose endpoint names none
	maxToken        = 16 << 10        // bytes
	maxTokenAnswer  = 64 << 10        // bytes of a token endpoint's answer
	maxTokenValues  = 4096            // in a token endpoint's answer
	maxTokens       = 4096            // that are kept, and as many pins
	maxIssued       = 16              // tokens of an integration that are searched for in what upstreams answer

	// renewAgain is the wait after a renewal whose token endpoint did not answer.
	renewAgain = maxIssueTime + time.Second
)

// issued is what a token endpoint gave.
type issued struct {
	text     string
	lifetime time.Duration // 0: good for one use
	proved   bool          // each use takes a proof (RFC 9449)
}

// token is a token that is kept.
type token struct {
	text     string
	proved   bool      // each use takes a proof (RFC 9449)
	endpoint string    // the origin that issued it
	replaces string    // the token that an upstream refused and that this one replaces
	renewAt  time.Time // another one is fetched from then on
	endsAt   time.Time
}

// describe returns how a token was obtained, without the token. It names the lifetime
// coarsely: the caller chooses which number of the answer is read as that.
func (t token) describe(now time.Time) string {
	left := t.endsAt.Sub(now)
	lasts := "a day or more"
	for _, step := range []struct {
		limit time.Duration
		text  string
	}{{0, "for one use only"}, {5 * time.Minute, "less than 5 minutes"}, {time.Hour, "less than an hour"}, {maxLifetime, "less than a day"}} {
		if left <= step.limit {
			lasts = step.text
			break
		}
	}
	return fmt.Sprintf("The token endpoint at %s gave a token that lasts %s.", t.endpoint, lasts)
}
