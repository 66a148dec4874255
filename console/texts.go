package console

import (
	"fmt"
	"strconv"
	"strings"
)

// flashes are what a page says after a change, by the name in its address.
var flashes = map[string]string{
	"created": "The integration is created.", "saved": "The change is saved.", "restored": "The earlier configuration is back.", "enabled": "The integration is enabled.",
	"disabled": "The integration is disabled: agents can't call it, and it is not probed.", "probed": "Probed just now.", "replaced": "The secret is replaced.", "deleted": "The integration is deleted.",
	"revoked": "The key is revoked.", "redelivered": "The webhook is sent again.",
	"approved": "Approved.", "denied": "Denied: nothing is sent.",
}

// approvalWord is the state of an approval in words.
func approvalWord(state string) string {
	known := map[string]string{"making": "Being made", "outcome_unknown": "Outcome unknown", "cancelled": "Not sent"}
	if word, ok := known[state]; ok {
		return word
	}
	return sentence(state)
}

// verb says what an event did.
func verb(typ string) string {
	return map[string]string{
		"integration.created": "created", "integration.updated": "changed", "integration.deleted": "deleted",
	}[typ]
}

// A statusMark is a status with its shape: what the colour says, the shape and the word say too.
type statusMark struct{ Class, Word string }

func markOf(status string) statusMark {
	switch status {
	case "healthy", "delivered", "ok":
		return statusMark{"ok", map[string]string{"healthy": "Healthy", "delivered": "Delivered", "ok": "OK"}[status]}
	case "", "unknown":
		return statusMark{"unknown", "Not checked"}
	case "disabled":
		return statusMark{"off", "Disabled"}
	case "unset":
		return statusMark{"off", "Not set up"}
	case "enabled":
		return statusMark{"ok", "Enabled"}
	case "approved":
		return statusMark{"ok", "Approved"}
	}
	return statusMark{"bad", outcomeWords(status)}
}

// outcomeWords are the results of probes and calls in words.
func outcomeWords(code string) string {
	known := map[string]string{
		"ok": "OK", "healthy": "Healthy", "auth_failed": "Sign-in refused", "unreachable": "Unreachable", "timeout": "Timed out", "ssl_error": "TLS failed",
		"misconfigured": "Misconfigured", "blocked_destination": "Blocked by egress", "upstream_error": "Upstream error", "tool_error": "Tool error",
		"response_too_large": "Answer too large", "authorization_required": "Sign-in needed", "unknown": "Not checked", "failed": "Failed", "dead": "Given up",
		"delivered": "Delivered",
	}
	if word, ok := known[code]; ok {
		return word
	}
	return sentence(code)
}

// sentence turns a code such as approval_required into words.
func sentence(code string) string {
	s := strings.ReplaceAll(code, "_", " ")
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// text returns a string, or what a pointer or a number holds.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case *string:
		if v == nil {
			return ""
		}
		return *v
	case *int:
		if v == nil {
			return ""
		}
		return strconv.Itoa(*v)
	case *uint64:
		if v == nil {
			return ""
		}
		return strconv.FormatUint(*v, 10)
	}
	return fmt.Sprint(v)
}
