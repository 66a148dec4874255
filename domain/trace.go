package domain

import (
	"regexp"
	"strings"
)

var traceParentSyntax = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// ParseTraceParent returns s if it is a traceparent of version 00, or of a later version in
// the same form, else "" (W3C Trace Context, 3.2). Ids of zeros only are invalid.
func ParseTraceParent(s string) string {
	if !traceParentSyntax.MatchString(s) || strings.HasPrefix(s, "ff") || strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return ""
	}
	return s
}

// TraceID returns the trace id of a traceparent, "" without one.
func TraceID(parent string) string {
	if ParseTraceParent(parent) == "" {
		return ""
	}
	return parent[3:35]
}
