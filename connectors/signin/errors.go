package signin

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// unopened returns the error of a secret that the keyring did not open.
func unopened(ctx context.Context, err error) *callerror.Error {
	if ctx.Err() != nil {
		return &callerror.Error{Code: domain.CallTimeout, Sentence: "The secret was not opened in time.", Unsent: true}
	}
	var ours *domain.Error
	if errors.As(err, &ours) {
		return callerror.Misconfigured("%s.", strings.TrimRight(ours.Message, "."))
	}
	return callerror.Misconfigured("The secret could not be opened.")
}

// errAccountChanged means that the next token goes with other values of the account than those
// in the call, which the upstream has refused with 401.
var errAccountChanged = errors.New("the account has changed")

// unauthorized is unopened for what a person has consented to.
func unauthorized(ctx context.Context, err error) *callerror.Error {
	e := unopened(ctx, err)
	switch refusal := domain.CodeOf(err); {
	case errors.Is(err, errAccountChanged):
		return &callerror.Error{
			Code: domain.CallAuthFailed, Clean: true, Local: true, Rebuild: true,
			Sentence: "The values of the account have changed since the call was made, and it was not processed. Call again.",
		}
	case refusal == domain.AuthorizationRequiredCode:
		e.Code = domain.CallAuthorizationRequired
	case domain.KindOf(err) == domain.Unavailable && e.Code == domain.CallMisconfigured:
		e.Code = domain.CallUnreachable
	}
	return e
}

// ofTokenEndpoint returns e with a sentence about the token endpoint.
func ofTokenEndpoint(e *callerror.Error) *callerror.Error {
	if e == nil {
		return nil
	}
	own := *e
	own.Sentence = strings.ReplaceAll(e.Sentence, "upstream", "token endpoint")
	if !strings.Contains(own.Sentence, "token endpoint") {
		head, size := utf8.DecodeRuneInString(own.Sentence)
		own.Sentence = "At the token endpoint: " + string(unicode.ToLower(head)) + own.Sentence[size:]
	}
	return &own
}
