// Package retryafter reads how long the sender of an answer asks to wait, and whether
// it refused because of a rate limit.
//
// Its promise: Retry-After is read as RFC 9110, 10.2.3 has it, and as servers write it;
// so are the headers of rate limits. Anything else is no wait.
package retryafter

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// longest is the longest wait that is believed, in seconds: some 136 years.
const longest = 1 << 32

// Parse returns how long after now the sender of value asks to wait, and whether it
// does. A date in the past is no wait. Seconds may have a fraction.
func Parse(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if n, ok := number(value); ok {
		return seconds(n)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// Of returns how long after now an answer asks to wait, and whether it does: by
// retry-after-ms and Retry-After; for a rate limit also by the time of its reset, in
// X-RateLimit-Reset and its relatives, and RateLimit (draft-ietf-httpapi-ratelimit-headers).
func Of(status int, h http.Header, now time.Time) (time.Duration, bool) {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if n, ok := number(strings.TrimSpace(h.Get(name))); ok {
			return seconds(n / 1000)
		}
	}
	for _, name := range []string{"Retry-After", "X-Retry-After"} {
		if wait, ok := Parse(h.Get(name), now); ok {
			return wait, true
		}
	}
	if status != http.StatusTooManyRequests && !exhausted(h) {
		return 0, false
	}
	return reset(h, now)
}

// Limited reports whether an answer refuses because of a rate limit: by its status, or
// by what stands beside a 403.
func Limited(status int, h http.Header) bool {
	switch status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return exhausted(h) || h.Get("Retry-After") != "" || h.Get("Retry-After-Ms") != "" || h.Get("X-Retry-After") != ""
	}
	return false
}

// quota is what an answer says of one rate limit.
type quota struct {
	name             string // what the headers of this limit end in
	remaining, reset string // "": not said
}

// quotaWords are those of a header's name that say what its value is, not of which limit.
var quotaWords = []string{"remaining", "reset", "after"}

// quotas returns the rate limits that an answer names.
func quotas(h http.Header) []quota {
	var all []quota
	of := func(name string) *quota {
		n := slices.IndexFunc(all, func(q quota) bool { return q.name == name })
		if n < 0 {
			all = append(all, quota{name: name})
			n = len(all) - 1
		}
		return &all[n]
	}
	for name, values := range h {
		_, which, ok := strings.Cut(strings.ReplaceAll(strings.ToLower(name), "rate-limit", "ratelimit"), "ratelimit-")
		if !ok {
			continue
		}
		words := strings.Split(which, "-") // such as remaining-requests, requests-remaining, reset-after
		limit := strings.Join(slices.DeleteFunc(slices.Clone(words), func(word string) bool { return slices.Contains(quotaWords, word) }), "-")
		switch first, _, _ := strings.Cut(values[0], ","); {
		case slices.Contains(words, "remaining"):
			of(limit).remaining = strings.TrimSpace(first)
		case slices.Contains(words, "reset"):
			of(limit).reset = strings.TrimSpace(values[0])
		}
	}
	for n, policy := range strings.Split(strings.Join(h.Values("RateLimit"), ","), ",") {
		for _, parameter := range strings.Split(policy, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			switch name {
			case "r":
				of(policyName(n)).remaining = value
			case "t":
				of(policyName(n)).reset = value
			case "remaining": // earlier drafts have one policy
				of("policy").remaining = value
			case "reset":
				of("policy").reset = value
			}
		}
	}
	return all
}

func policyName(n int) string { return "policy " + strconv.Itoa(n) }

// exhausted reports whether a rate limit has nothing left.
func exhausted(h http.Header) bool {
	return slices.ContainsFunc(quotas(h), func(q quota) bool { n, ok := number(q.remaining); return ok && n == 0 })
}

// reset returns when the rate limits that have nothing left begin anew: all of them, or
// where none says so, the first one.
func reset(h http.Header, now time.Time) (wait time.Duration, named bool) {
	soonest, any := time.Duration(0), false
	for _, q := range quotas(h) {
		until, ok := resetIn(q.reset, now)
		if !ok {
			continue
		}
		if !any || until < soonest {
			soonest, any = until, true
		}
		if n, ok := number(q.remaining); ok && n == 0 {
			wait, named = max(wait, until), true
		}
	}
	if !named {
		return soonest, any
	}
	return wait, true
}

// resetIn reads the time of a reset: seconds from now, seconds or milliseconds since 1970,
// a duration such as 6m0s, or a date.
func resetIn(value string, now time.Time) (time.Duration, bool) {
	n, isNumber := number(value)
	switch {
	case isNumber && n >= 1e12:
		return max(0, time.UnixMilli(int64(min(n, 1e15))).Sub(now)), true
	case isNumber && n >= 1e9:
		return max(0, time.UnixMilli(int64(n*1000)).Sub(now)), true
	case isNumber:
		return seconds(n)
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return max(0, at.Sub(now)), true
	}
	if d, err := time.ParseDuration(value); err == nil {
		return max(0, d), true
	}
	return Parse(value, now)
}

// number reads digits with at most one decimal point.
func number(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

func seconds(n float64) (time.Duration, bool) {
	if n >= longest {
		return 0, false
	}
	return time.Duration(n * float64(time.Second)), true
}
