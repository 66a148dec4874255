package domain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind classifies an error by who must act on it, and how.
type Kind string

// The kinds of error that callers distinguish. Anything else is internal.
const (
	Invalid         Kind = "invalid"         // the caller sent something that can't be accepted
	Unauthenticated Kind = "unauthenticated" // the caller is not known
	Forbidden       Kind = "forbidden"       // the caller is known and may not do this
	NotFound        Kind = "not_found"       // the workspace has no such thing
	Gone            Kind = "gone"            // it existed, and only an archive has it
	Conflict        Kind = "conflict"        // the request conflicts with the present state
	Stale           Kind = "stale"           // the caller decided on an older version
	TooLarge        Kind = "too_large"       // the request exceeds a size limit
	TooSlow         Kind = "too_slow"        // the request did not arrive in time
	Unsupported     Kind = "unsupported"     // the request is in an unsupported format
	Limited         Kind = "limited"         // the caller exceeds a rate limit
	Unavailable     Kind = "unavailable"     // a part of the service is unavailable; the caller may retry
	Internal        Kind = "internal"        // an unexpected failure
)

// Error is an error whose message is written for the caller of the API.
type Error struct {
	Kind     Kind
	Code     string    // stable, for programs, such as name_taken
	Message  string    // one sentence for a person; never contains a secret
	Problems []Problem // everything wrong with the request; only for Invalid
	cause    error
}

// Problem is one thing wrong with a request.
type Problem struct {
	Pointer string `json:"pointer"` // a JSON pointer (RFC 6901)
	Code    string `json:"code"`    // stable, for programs
	Detail  string `json:"detail"`  // one sentence for a person; never contains a secret
}

func (e *Error) Error() string {
	if len(e.Problems) == 0 {
		return e.Message
	}
	all := make([]string, len(e.Problems))
	for n, p := range e.Problems {
		all[n] = strings.TrimPrefix(p.Pointer+": "+p.Detail, ": ")
	}
	return strings.Join(all, "; ")
}

// String returns the problem as one sentence: the member's path, and what is wrong with it.
func (p Problem) String() string {
	first, _, _ := strings.Cut(p.Detail, " ")
	predicate := slices.Contains([]string{"is", "must", "can't", "has", "doesn't", "isn't", "would"}, first)
	member := UnescapePointer(strings.TrimPrefix(p.Pointer, "/"))
	switch {
	case member == "" && predicate:
		return "the body " + p.Detail
	case member == "":
		return p.Detail
	case predicate:
		return member + " " + p.Detail
	}
	return member + ": " + p.Detail
}

// Unwrap returns the cause, which callers of the API don't see.
func (e *Error) Unwrap() error { return e.cause }

// Errorf returns an Error of the given kind and code. An error in args that is
// wrapped with %w can be unwrapped, and its text appears in the message: write the
// format for the caller of the API.
func Errorf(kind Kind, code, format string, args ...any) error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Code: code, Message: wrapped.Error(), cause: errors.Unwrap(wrapped)}
}

// Wrap returns an Error of the given kind and code. Its cause is logged and
// hidden from the caller.
func Wrap(cause error, kind Kind, code, message string) error {
	return &Error{Kind: kind, Code: code, Message: message, cause: cause}
}

// KindOf returns the kind of err, Internal when it isn't an Error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the code of err, "" when it isn't an Error.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// RefuseAll returns nil without problems, else an Invalid error that lists them
// all. Its message is the first of them. Its code is that of the problems when they share one.
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
	message := problems[0].String()
	if len(problems) > 1 {
		message += fmt.Sprintf(" (and %d more)", len(problems)-1)
	}
	return &Error{Kind: Invalid, Code: code, Message: message, Problems: problems}
}

// Refuse returns an Invalid error with one problem.
func Refuse(pointer, code, format string, args ...any) error {
	return RefuseAll([]Problem{{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)}})
}
