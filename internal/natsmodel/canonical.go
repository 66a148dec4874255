package natsmodel

import (
	"strings"
)

// Canonical returns a subject without what is random: names of consumers and inboxes.
func Canonical(subject string) string {
	parts := strings.Split(subject, ".")
	switch {
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT.") && len(parts) > 6:
		return strings.Join(parts[:6], ".")
	case strings.HasPrefix(subject, "$JS.API.CONSUMER.") && len(parts) > 5:
		return strings.Join(parts[:5], ".")
	case strings.HasPrefix(subject, "_INBOX."):
		return "_INBOX"
	}
	return subject
}
