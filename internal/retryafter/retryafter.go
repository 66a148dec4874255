// Package retryafter reads the header Retry-After.
//
// Its promise: both forms of RFC 9110, 10.2.3 are read, and anything else is none.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Parse returns how long after now the sender of value asks to wait, and whether it
// does. A date in the past is no wait.
func Parse(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
