package transport

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/seed677028b5/integrations/domain"
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

// Limits is how many requests per second one API key may make of each class; 0 is unlimited.
// Bursts of twice as many are allowed.
type Limits struct {
	Read, Write, Call float64
}

// limiters holds a token bucket for each key and class.
type limiters struct {
	perSecond map[class]float64
	mu        sync.Mutex
	buckets   map[bucketOf]*rate.Limiter
}

type bucketOf struct {
	key   string
	class class
}

// maxBuckets bounds the memory for buckets. Dropping all of them only allows every key one
// more burst.
const maxBuckets = 100_000

func newLimiters(l Limits) *limiters {
	return &limiters{perSecond: map[class]float64{read: l.Read, write: l.Write, call: l.Call}, buckets: map[bucketOf]*rate.Limiter{}}
}

// allow takes one request from the bucket of a key and sets the rate limit headers, or refuses
// with Limited. X-RateLimit-Reset is a time in Unix seconds; the headers of
// draft-ietf-httpapi-ratelimit-headers count the seconds from now.
func (l *limiters) allow(c *gin.Context, key string, of class, now time.Time) error {
	perSecond := l.perSecond[of]
	if perSecond <= 0 {
		return nil
	}
	bucket := l.bucket(bucketOf{key, of}, perSecond)
	allowed := bucket.AllowN(now, 1)
	left := bucket.TokensAt(now)
	seconds := func(tokens float64) int64 { return int64(math.Ceil(max(tokens, 0) / perSecond)) }
	full, remaining := seconds(float64(bucket.Burst())-left), max(int(left), 0)
	c.Header("X-RateLimit-Limit", strconv.Itoa(bucket.Burst()))
	c.Header("X-RateLimit-Remaining", strconv.Itoa(remaining))
	c.Header("X-RateLimit-Reset", strconv.FormatInt(now.Unix()+full, 10))
	c.Header("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", of, bucket.Burst(), max(seconds(float64(bucket.Burst())), 1)))
	c.Header("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", of, remaining, full))
	if !allowed {
		c.Header("Retry-After", strconv.FormatInt(seconds(1-left), 10))
		return domain.Errorf(domain.Limited, "rate_limited", "this API key makes too many requests; wait as long as Retry-After specifies")
	}
	return nil
}

func (l *limiters) bucket(of bucketOf, perSecond float64) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[of]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			clear(l.buckets)
		}
		b = rate.NewLimiter(rate.Limit(perSecond), max(int(2*perSecond), 1))
		l.buckets[of] = b
	}
	return b
}
