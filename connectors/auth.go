package connectors

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// A signer puts the credential of one way to sign in onto a request. It hands
// every text that must not be shown to the request.
type signer func(ctx context.Context, a domain.Auth, secret domain.Secret, out *outgoing) *fault

// signers returns the ways to sign in that are known here. Another one is
// another file, and a line in this table.
func signers() map[domain.AuthType]signer {
	return map[domain.AuthType]signer{
		domain.APIKeyHeader: signAPIKey,
		domain.BearerToken:  signBearer,
		domain.Basic:        signBasic,
	}
}

func signAPIKey(_ context.Context, a domain.Auth, secret domain.Secret, out *outgoing) *fault {
	if a.QueryName != "" {
		out.hideQuery(a.QueryName, secret.Reveal())
		return nil
	}
	out.hideHeader(a.HeaderName, secret.Reveal(), secret.Reveal())
	return nil
}

func signBearer(_ context.Context, _ domain.Auth, secret domain.Secret, out *outgoing) *fault {
	out.hideHeader("Authorization", "Bearer "+secret.Reveal(), secret.Reveal())
	return nil
}

// signBasic follows RFC 7617. The pair is a secret of its own, because its
// base64 is not that of the password.
func signBasic(_ context.Context, a domain.Auth, secret domain.Secret, out *outgoing) *fault {
	pair := a.Username + ":" + secret.Reveal()
	out.hideHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)), secret.Reveal(), pair)
	return nil
}

// sign opens the secret of a at the last moment and signs out with it. No auth
// is no credential, which is no fault.
func (o *outbound) sign(ctx context.Context, i domain.Integration, a *domain.Auth, open domain.Keyring, out *outgoing) *fault {
	if a == nil {
		return nil
	}
	put, known := o.signers[a.Type]
	if !known {
		return misconfigured("Signing in with %s is not supported yet.", a.Type)
	}
	ref := a.Secret()
	switch {
	case ref.ID == "" || open == nil:
		return misconfigured("The secret %s of auth is not set.", a.SecretField())
	case !i.Builtin && !isFor(ref, out.url.String()):
		return misconfigured("The secret %s was given for another destination; give it again for this one.", a.SecretField())
	}
	secret, err := open(ctx, ref)
	if err != nil {
		return unopened(ctx, err)
	}
	return put(ctx, *a, secret, out)
}

// isFor reports whether a secret was given for the origin of target.
func isFor(ref domain.SecretRef, target string) bool {
	origin := domain.Origin(target)
	return origin != "" && slices.ContainsFunc(ref.Destinations, func(d string) bool {
		givenFor, _, _ := strings.Cut(d, " ")
		return givenFor == origin
	})
}

// unopened is the fault of a secret that the keyring did not open.
func unopened(ctx context.Context, err error) *fault {
	if ctx.Err() != nil {
		return &fault{code: domain.CallTimeout, sentence: "The secret was not opened in time.", unsent: true}
	}
	var ours *domain.Error
	if errors.As(err, &ours) {
		return misconfigured("%s.", strings.TrimRight(ours.Message, "."))
	}
	return misconfigured("The secret could not be opened.")
}
