package domain

import (
	"net/http"
	"time"
)

// Call asks a connector to call one endpoint.
type Call struct {
	Integration Integration
	Endpoint    Endpoint
	Params      map[string]any // decoded JSON, numbers as json.Number
	DryRun      bool           // build and show the request, send nothing
	Invocation  bool           // not a test: refused at once while the upstream keeps failing
	Keyring     Keyring
}

// ErrorCode says why a call failed, for programs.
type ErrorCode string

// Why a call may fail.
const (
	CallAuthFailed         ErrorCode = "auth_failed"
	CallUnreachable        ErrorCode = "unreachable"
	CallTimeout            ErrorCode = "timeout"
	CallSSLError           ErrorCode = "ssl_error"
	CallMisconfigured      ErrorCode = "misconfigured"
	CallBlockedDestination ErrorCode = "blocked_destination"
	CallUpstreamError      ErrorCode = "upstream_error"
	CallToolError          ErrorCode = "tool_error"
	CallResponseTooLarge   ErrorCode = "response_too_large"
)

// CallResult is what a call came to. What the upstream said was scrubbed by value,
// so nothing of it holds a secret.
type CallResult struct {
	Request         CallRequest
	StatusCode      int // 0: no answer
	ResponseHeaders http.Header
	RawResponse     any  // decoded JSON, else a string; nil when there was none
	Truncated       bool // RawResponse is cut
	AfterFilter     any
	AfterMapping    any
	FinalResult     string
	Duration        time.Duration
	Attempts        []CallAttempt
	Error           string // "" when the call succeeded, else a sentence a person can act on
	ErrorCode       ErrorCode
}

// CallRequest is the request as it was sent, with masks where the service put a
// credential. What the caller chose is as they gave it.
type CallRequest struct {
	Method  string
	URL     string
	Headers http.Header
	Body    string
}

// CallAttempt is one time the request was sent.
type CallAttempt struct {
	StatusCode int // 0: no answer
	Duration   time.Duration
	Error      string
}
