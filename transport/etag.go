package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/projections"
)

// etag returns the strong validator of an integration (RFC 9110, 8.8.3): its version, and a hash of
// what is shown of it. The version alone is not enough: a probe changes the health that is shown,
// keys see different endpoints, and a newer release or a setting of the operator may show more.
func etag(shown projections.Answer) string {
	const short = 8 // bytes, of the hash: it tells apart what is shown of one version
	sum := sha256.Sum256(shown.Body)
	return `"v` + strconv.FormatUint(shown.Version, 10) + "-" + hex.EncodeToString(sum[:short]) + `"`
}

var etagSyntax = regexp.MustCompile(`^"v([1-9][0-9]*)(?:-[0-9a-f]{16})?"$`)

// versions reads If-Match: nil when any version matches. A tag that isn't an ETag of this
// service matches nothing. Of one that is, only the version counts: a change guards the
// configuration, and must not fail because a probe was made meanwhile. So the tags of earlier
// releases, which are a version alone, are as good.
func versions(ifMatch string) []uint64 {
	if strings.TrimSpace(ifMatch) == "*" {
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
