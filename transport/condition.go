package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
)

// change reads the body and the conditions of a change.
func (r *request) change() (domain.Document, commands.Condition, error) {
	doc, data, err := r.body(maxBody, false)
	if err != nil {
		return nil, commands.Condition{}, err
	}
	on, err := r.condition()
	if err != nil {
		return nil, commands.Condition{}, err
	}
	if key := r.GetHeader("Idempotency-Key"); key != "" && !on.DryRun {
		if len(key) > 255 {
			return nil, commands.Condition{}, domain.Errorf(domain.Invalid, "idempotency_key_invalid", "Idempotency-Key has at most 255 characters")
		}
		hash := sha256.New()
		_, _ = fmt.Fprintf(hash, "%s %s\n", r.Request.Method, r.Request.URL.Path)
		if r.Request.URL.RawQuery != "" {
			_, _ = fmt.Fprintf(hash, "%s\n", r.Request.URL.RawQuery)
		}
		_, _ = hash.Write(data)
		on.IdempotencyKey, on.Request = key, hex.EncodeToString(hash.Sum(nil))
	}
	return doc, on, nil
}

// condition reads If-Match, If-None-Match and dry_run.
func (r *request) condition() (commands.Condition, error) {
	q := r.query()
	on := commands.Condition{IfVersions: r.ifVersions()}
	if len(r.Request.Header.Values("If-None-Match")) > 0 {
		var err error
		if on.IfAbsent, on.IfNotVersions, err = excluded(r.tags("If-None-Match")); err != nil {
			return commands.Condition{}, err
		}
	}
	if dry := q.boolean("dry_run"); dry != nil {
		on.DryRun = *dry
	}
	return on, domain.RefuseAll(q.problems)
}

// ifVersions reads If-Match. Without a value it matches nothing: it was meant to guard the change.
func (r *request) ifVersions() []uint64 {
	if len(r.Request.Header.Values("If-Match")) == 0 {
		return nil
	}
	return versions(r.tags("If-Match"))
}

// tags returns a list of tags that may span several lines (RFC 9110, 5.3).
func (r *request) tags(header string) string {
	return strings.Join(r.Request.Header.Values(header), ",")
}
