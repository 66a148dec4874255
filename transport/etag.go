package transport

import (
	"regexp"
	"strconv"
	"strings"
)

// etag returns the strong validator of an integration: its version, which every change
// increments (RFC 9110, 8.8.3).
func etag(version uint64) string { return `"v` + strconv.FormatUint(version, 10) + `"` }

var etagSyntax = regexp.MustCompile(`^"v([1-9][0-9]*)"$`)

// versions reads If-Match: nil when any version matches. A tag that isn't an ETag of this
// service matches nothing.
func versions(ifMatch string) []uint64 {
	if ifMatch == "" || strings.TrimSpace(ifMatch) == "*" {
		return nil
	}
	wanted := []uint64{}
	for tag := range strings.SplitSeq(ifMatch, ",") {
		if m := etagSyntax.FindStringSubmatch(strings.TrimSpace(tag)); m != nil {
			if v, err := strconv.ParseUint(m[1], 10, 64); err == nil {
				wanted = append(wanted, v)
			}
		}
	}
	return wanted
}

// matches reports whether If-None-Match has tag, compared weakly
// (RFC 9110, 13.1.2).
func matches(ifNoneMatch, tag string) bool {
	for one := range strings.SplitSeq(ifNoneMatch, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}
