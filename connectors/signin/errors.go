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
