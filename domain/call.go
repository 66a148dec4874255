package domain

import (
	"net/http"
	"time"
)

// Call is a request to a connector to call one endpoint.
type Call struct {
	Integration Integration
	Endpoint    Endpoint
	Params      map[string]any // decoded JSON, numbers as json.Number
	DryRun      bool           // build and show the request, send nothing
	Invocation  bool           // not a test: refused immediately while the circuit breaker is open
	Keyring     Keyring
	Progress    func(Progress) // is called as the upstream reports it, by one goroutine at a time, before the call returns; nil: nobody asks
	Subject     string         // on whose behalf; sessions with the upstream belong to it. Empty: the workspace's own
	TraceParent string         // W3C trace context, which the upstream gets; empty: none
}

// ErrorCode is a stable code for why a call failed.
type ErrorCode string

// The reasons why a call fails.
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

	// CallApprovalRequired means that somebody must approve the call first. Nothing was sent.
	CallApprovalRequired ErrorCode = "approval_required"

	// CallAuthorizationRequired means that a person must sign in first.
	CallAuthorizationRequired ErrorCode = "authorization_required"
)

// CallOutcome is how a call ended: CallOK, or its ErrorCode.
type CallOutcome string

// CallOK is the outcome of a call that succeeded.
const CallOK CallOutcome = "ok"

// OutcomeOf returns the outcome of a call with an error code, which is empty on success.
func OutcomeOf(code ErrorCode) CallOutcome {
	if code == "" {
		return CallOK
	}
	return CallOutcome(code)
}

// CallOutcomes lists them all.
func CallOutcomes() []CallOutcome {
	return []CallOutcome{
		CallOK, CallOutcome(CallAuthFailed), CallOutcome(CallUnreachable), CallOutcome(CallTimeout), CallOutcome(CallSSLError),
		CallOutcome(CallMisconfigured), CallOutcome(CallBlockedDestination), CallOutcome(CallUpstreamError), CallOutcome(CallToolError),
		CallOutcome(CallResponseTooLarge), CallOutcome(CallAuthorizationRequired),
	}
}

// CallResult is the outcome of a call. What the upstream answered has been
// scrubbed of secrets by value.
type CallResult struct {
	Request         CallRequest
	StatusCode      int // 0: no response
	ResponseHeaders http.Header
	RawResponse     any  // decoded JSON, else a string; nil without a response
	Truncated       bool // RawResponse is truncated
	AfterFilter     any
	AfterMapping    any
	FinalResult     string
	Structured      any         // by the output_schema of the endpoint, which it fits; nil: it has none, or Unfit
	Unfit           []Problem   // why the result doesn't fit the output_schema
	Tool            *ToolResult // what a model gets in place of FinalResult, where the endpoint doesn't shape it; nil: nothing
	Duration        time.Duration
	Attempts        []CallAttempt
	RequestBytes    int    // of the body of the last attempt
	ResponseBytes   int    // of the body that was read, decompressed
	Error           string // "" when the call succeeded, else a sentence for a person
	ErrorCode       ErrorCode
	AuthorizeURL    string // by which a person can sign in, where that is what is missing

	Recorded *RecordedCall `json:"-"` // what is kept of the bodies, where the caller has given secrets; nil: Request and RawResponse

	Approval *Approval `json:"-"` // that the call waits for, or that it was made by; nil: it needs none
}

// RecordedCall is what is kept of the bodies of a call, without the secrets that the caller has
// given.
type RecordedCall struct {
	Request  CallRequest
	Response any
}

// ToolResult is the result of a tool of an MCP server, as the server wrote it, or a picture
// or a sound that another upstream answered with.
type ToolResult struct {
	Content    []any // decoded JSON: texts, images, resources and others
	Structured any   // decoded JSON; nil: there is none
}

// CallRequest is the request as it was sent, with masks where the service added a
// credential. Values from the caller appear unchanged.
type CallRequest struct {
	Method  string
	URL     string
	Headers http.Header
	Body    string
}

// CallAttempt is one attempt to send the request.
type CallAttempt struct {
	StatusCode int // 0: no response
	Duration   time.Duration
	Error      string
}
