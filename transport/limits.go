package transport

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/ratelimit"
)

// class groups routes with the same cost.
type class int

const (
	read class = iota
	write
	call // goes out to upstreams
)

// String names the class in headers.
func (c class) String() string { return [...]string{read: "read", write: "write", call: "call"}[c] }

// Limits is how many requests per second one API key may make of each class, and all those of a
// workspace together; 0 is unlimited. Bursts of twice as many are allowed.
type Limits struct {
	Read, Write, Call float64
	Workspace         float64
}

// workspaceLimit is the kind of the limit of a workspace.
const workspaceLimit = "workspace"

// Rates returns the limits by their kinds.
func (l Limits) Rates() map[string]float64 {
	return map[string]float64{read.String(): l.Read, write.String(): l.Write, call.String(): l.Call, workspaceLimit: l.Workspace}
}

// limiters limits requests.
type limiters struct{ *ratelimit.Limiter }

// newLimiters returns shared, or limiters of this process alone if that is nil.
func newLimiters(shared *ratelimit.Limiter, l Limits) *limiters {
	if shared == nil {
		shared = ratelimit.New(l.Rates())
	}
	return &limiters{shared}
}

// allow takes one request from the bucket of a key and sets the rate limit headers, or refuses
// with Limited. X-RateLimit-Reset is a time in Unix seconds; the headers of
// draft-ietf-httpapi-ratelimit-headers count the seconds from now.
func (l *limiters) allow(c *gin.Context, key string, of class, now time.Time) error {
	state, allowed, limited := l.Take(ratelimit.Subject{Kind: of.String(), Name: key}, now)
	if !limited {
		return nil
	}
	full, remaining := seconds(float64(state.Burst)-state.Left, state), max(int(state.Left), 0)
	c.Header("X-RateLimit-Limit", strconv.Itoa(state.Burst))
	c.Header("X-RateLimit-Remaining", strconv.Itoa(remaining))
	c.Header("X-RateLimit-Reset", strconv.FormatInt(now.Unix()+full, 10))
	return showLimit(c, of.String(), state, allowed, "this API key makes")
}

// allowIn takes one request from the bucket of a workspace, as allow does.
func (l *limiters) allowIn(c *gin.Context, w domain.Workspace, now time.Time) error {
	state, allowed, limited := l.Take(ratelimit.Subject{Kind: workspaceLimit, Name: string(w)}, now)
	if !limited {
		return nil
	}
	return showLimit(c, workspaceLimit, state, allowed, "the API keys of this workspace make")
}

// another takes one more of the requests that a single one carries, from the buckets of a key and
// of a workspace.
func (l *limiters) another(c *gin.Context, key string, w domain.Workspace, of class, now time.Time) error {
	_, own, _ := l.Take(ratelimit.Subject{Kind: of.String(), Name: key}, now)
	_, all, _ := l.Take(ratelimit.Subject{Kind: workspaceLimit, Name: string(w)}, now)
	if own && all {
		return nil
	}
	c.Header("Retry-After", "1")
	return domain.Errorf(domain.Limited, "rate_limited", "the batch has more messages than this API key and its workspace may send now; send fewer at once")
}

// showLimit adds a limit to the headers of an answer, and returns the error of one that is exceeded.
func showLimit(c *gin.Context, kind string, s ratelimit.State, allowed bool, who string) error {
	c.Writer.Header().Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", kind, s.Burst, max(seconds(float64(s.Burst), s), 1)))
	c.Writer.Header().Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", kind, max(int(s.Left), 0), seconds(float64(s.Burst)-s.Left, s)))
	if !allowed {
		c.Header("Retry-After", strconv.FormatInt(max(seconds(1-s.Left, s), 1), 10))
		return domain.Errorf(domain.Limited, "rate_limited", "%s too many requests; wait as long as Retry-After specifies", who)
	}
	return nil
}

// seconds returns how long a bucket takes for some tokens.
func seconds(tokens float64, s ratelimit.State) int64 {
	return int64(math.Ceil(max(tokens, 0) / s.PerSecond))
}
