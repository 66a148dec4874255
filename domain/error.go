package domain

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says who has to act on an error, and how.
type Kind string

// The kinds of error a caller can tell apart. Anything else is internal.
const (
	Invalid         Kind = "invalid"         // the caller sent something that can't be accepted
	Unauthenticated Kind = "unauthenticated" // the caller is not known
	Forbidden       Kind = "forbidden"       // the caller is known and may not do this
	NotFound        Kind = "not_found"       // there is no such thing in this workspace
	Conflict        Kind = "conflict"        // the present state refuses the request
	Stale           Kind = "stale"           // the caller decided on an older version
	TooLarge        Kind = "too_large"       // the request is over a limit of size
	Unsupported     Kind = "unsupported"     // the request is in a format nobody reads here
	Limited         Kind = "limited"         // the caller is over a limit of rate
	Unavailable     Kind = "unavailable"     // a part of the service is away; asking again helps
	Internal        Kind = "internal"        // a fault of ours
)

// Error is a refusal whose message is written for the caller of the API.
type Error struct {
	Kind     Kind
	Code     string    // a stable word for programs, such as name_taken
	Message  string    // one sentence for a person; never the value of a secret
	Problems []Problem // what is wrong with the request, all of it; only for Invalid
	cause    error
}

// Problem is one thing wrong with a request.
type Problem struct {
	Pointer string `json:"pointer"` // where, as a JSON pointer (RFC 6901)
	Code    string `json:"code"`    // a stable word for programs
	Detail  string `json:"detail"`  // one sentence for a person; never the value of a secret
}

func (e *Error) Error() string {
	if len(e.Problems) == 0 {
		return e.Message
	}
	var all strings.Builder
	all.WriteString(e.Message)
	for _, p := range e.Problems {
		fmt.Fprintf(&all, "; %s: %s", p.Pointer, p.Detail)
	}
	return all.String()
}

// Unwrap returns what caused the refusal, which is not for the caller's eyes.
func (e *Error) Unwrap() error { return e.cause }

// Errorf returns an Error of the given kind and code. An error among args that
// is wrapped with %w stays reachable, and is left out of nothing: word the
// format for the caller.
func Errorf(kind Kind, code, format string, args ...any) error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Code: code, Message: wrapped.Error(), cause: errors.Unwrap(wrapped)}
}

// Because returns an Error of the given kind and code whose cause is kept for
// the log and hidden from the caller.
func Because(cause error, kind Kind, code, message string) error {
	return &Error{Kind: kind, Code: code, Message: message, cause: cause}
}

// KindOf returns the kind of err, Internal when it is not one of ours.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// RefuseAll returns nil when there are no problems, else an Invalid error that
// lists them all. Its code is theirs when they agree on one.
func RefuseAll(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	code := problems[0].Code
	for _, p := range problems {
		if p.Code != code {
			code = "validation_failed"
		}
	}
	message := "the request has one problem"
	if len(problems) > 1 {
		message = fmt.Sprintf("the request has %d problems", len(problems))
	}
	return &Error{Kind: Invalid, Code: code, Message: message, Problems: problems}
}

// Refuse returns an Invalid error with one problem.
func Refuse(pointer, code, format string, args ...any) error {
	return RefuseAll([]Problem{{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)}})
}
