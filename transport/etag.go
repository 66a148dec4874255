package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
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

// excluded reads If-None-Match of a change: whether any version is excluded, or which are. What can't be
// read is refused: it was meant to guard the change. Tags are compared weakly (RFC 9110, 13.1.2).
func excluded(ifNoneMatch string) (whole bool, not []uint64, err error) {
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "" { // which a list may have (RFC 9110, 5.6.1)
			continue
		}
		if tag == "*" {
			whole = true
			continue
		}
		m := etagSyntax.FindStringSubmatch(strings.TrimPrefix(tag, "W/"))
		if m == nil {
			return false, nil, errIfNoneMatch
		}
		v, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return false, nil, errIfNoneMatch
		}
		not = append(not, v)
	}
	if !whole && not == nil {
		return false, nil, errIfNoneMatch
	}
	return whole, not, nil
}

var errIfNoneMatch = domain.Errorf(domain.Invalid, "if_none_match_invalid", "If-None-Match must be ETags of this service, such as \"v3-5d41402abc4b2a76\", or *")

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
