package connectors

import (
	"context"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// forAccount fills a call with the captured values of the authorization that it uses, if it
// has any. Its keyring then opens the token that was read with them.
func forAccount(ctx context.Context, call domain.Call) (domain.Call, *callerror.Error) {
	i, e := call.Integration, call.Endpoint
	if !i.UsesAccount(e) {
		return call, nil
	}
	if !i.Captures() {
		if i.Auth == nil || i.Auth.Type != domain.AuthorizationCode { // what is written so in a header of another auth is a text
			return call, nil
		}
		return call, callerror.Misconfigured("This integration uses a value of the account, and its auth captures none.")
	}
	ref := domain.SignedInRef("")
	if call.DryRun {
		ref = domain.SignedInLastRef()
	}
	opened, keyring, failure := signin.SignedIn(ctx, call.Keyring, ref)
	switch {
	case failure != nil:
		return call, failure
	case opened.Unchosen != "":
		return call, &callerror.Error{Code: domain.CallAuthorizationRequired, Sentence: sentence(opened.Unchosen), Unsent: true, Clean: true}
	}
	call.Keyring = keyring
	var err error
	if call.Integration, call.Endpoint, err = i.ForAccount(e, opened.Captured); err != nil {
		return call, callerror.Misconfigured("%s", sentence(err.Error()))
	}
	return call, nil
}

// sentence returns the text of an error as a sentence.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }
