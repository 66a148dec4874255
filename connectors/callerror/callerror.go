// Package callerror describes why a call to an upstream failed.
//
// Its promise: a sentence quotes neither an answer that was not scrubbed nor an
// error of a library.
package callerror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/retryafter"
)

// Error is why a call failed: a code for programs, and a sentence for people.
type Error struct {
	Code     domain.ErrorCode
	Sentence string
	Unsent   bool  // nothing of the request was sent, so sending it again is safe
	Final    bool  // sending it again soon can't help
	Limited  bool  // a rate limit of the upstream refused it
	Local    bool  // this service had no room for it, not a fault of the upstream
	Rebuild  bool  // the call was not processed, and its request must be built anew
	Cause    error // for the log; nil where the sentence has it all

	// Clean is set for a sentence with nothing of an upstream in it that was not
	// scrubbed before. It may have names that the caller chose.
	Clean bool
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Sentence }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Shown returns the sentence with secrets masked. A clean one stays as it is: were
// a caller's guess masked in it, that would show that it is right.
func (e *Error) Shown(s scrub.Scrubber) string {
	if e.Clean {
		return e.Sentence
	}
	return s.Text(e.Sentence)
}

// Misconfigured returns the error of an integration that can't be called as it is
// configured. Nothing was sent.
func Misconfigured(format string, args ...any) *Error {
	return &Error{Code: domain.CallMisconfigured, Sentence: fmt.Sprintf(format, args...), Unsent: true, Clean: true}
}

// FoundMisconfigured is Misconfigured for what a request found out.
func FoundMisconfigured(format string, args ...any) *Error {
	e := Misconfigured(format, args...)
	e.Unsent = false
	return e
}

// Upstream returns the error of an answer that can't be used.
func Upstream(format string, args ...any) *Error {
	return &Error{Code: domain.CallUpstreamError, Sentence: fmt.Sprintf(format, args...)}
}

// Timeout returns the error of a call whose context has ended, with the sentence of
// the limit that ended it where that has one.
func Timeout(ctx context.Context) *Error {
	e := &Error{Code: domain.CallTimeout, Sentence: "The upstream did not answer in time."}
	var limit *Error
	switch {
	case errors.As(context.Cause(ctx), &limit):
		e.Sentence = limit.Sentence
	case errors.Is(ctx.Err(), context.Canceled):
		e.Sentence = "The call was cancelled before the upstream had answered."
	}
	return e
}

// NoRoom is the sentence for an answer that there was no memory for.
const NoRoom = "The upstream answered, and there was no memory for an answer of this size in time: too many large ones are held just now."

// Crowded returns the error of an answer that there was no memory for.
func Crowded() *Error {
	return &Error{Code: domain.CallResponseTooLarge, Sentence: NoRoom, Clean: true, Final: true, Local: true}
}

// OfStatus is OfAnswer for an answer of which nothing but the status is known.
func OfStatus(status int) *Error { return OfAnswer(status, nil, nil) }

// OfAnswer returns the error of an answer that is not a success, nil for one that is. Its
// headers show whether a rate limit refused the request, and what a redirect points to.
// From is what was requested; nil: unknown.
func OfAnswer(status int, h http.Header, from *url.URL) *Error {
	answered := fmt.Sprintf("The upstream answered %d", status)
	if text := http.StatusText(status); text != "" {
		answered += " " + text
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case retryafter.Limited(status, h):
		e := Upstream("%s: its rate limit is used up%s.", answered, until(status, h))
		e.Limited = true
		return e
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &Error{Code: domain.CallAuthFailed, Sentence: answered + ": check the credentials and what they permit."}
	case IsRedirect(status):
		return Upstream("%s%s: redirects are not followed; configure the final URL.", answered, target(h, from))
	}
	return Upstream("%s.", answered)
}

// IsRedirect reports whether a status sends the client to another URL.
func IsRedirect(status int) bool { return slices.Contains([]int{301, 302, 303, 307, 308}, status) }

// until returns when a rate limit ends, as the end of a sentence; "" where that is unknown
// or not within a day.
func until(status int, h http.Header) string {
	now, _ := http.ParseTime(h.Get("Date")) // a moment is one by the clock of the upstream
	wait, named := retryafter.Of(status, h, now)
	if !named || wait <= 0 || wait > 24*time.Hour {
		return ""
	}
	return fmt.Sprintf("; it takes calls again in %s", max(wait, time.Second).Round(time.Second))
}

// target returns what a redirect points to, as the upstream writes it, so that a scrubber
// finds a secret in it; without a query, which may carry a token, and without a user.
func target(h http.Header, from *url.URL) string {
	to := h.Get("Location")
	if end := strings.IndexAny(to, "?#"); end >= 0 {
		to = to[:end]
	}
	parsed, err := url.Parse(to)
	switch {
	case to == "" || err != nil:
		return ""
	case parsed.Host != "":
		_, path, _ := strings.Cut(to, "//")
		if slash := strings.IndexByte(path, '/'); slash >= 0 {
			path = path[slash:]
		} else {
			path = ""
		}
		to = parsed.Host + path
		if parsed.Scheme == "" && from != nil {
			parsed.Scheme = from.Scheme
		}
		to = parsed.Scheme + "://" + to
	case from != nil && strings.HasPrefix(to, "/"):
		to = from.Scheme + "://" + from.Host + to
	}
	return " and points to " + jsonvalue.Abbreviate(to, 300)
}
