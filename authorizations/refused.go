package authorizations

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// ErrPaused is the error of a refresh while another installation may use the same tokens:
// that one would lose them, and this one too.
var ErrPaused = domain.Errorf(domain.Unavailable, "refresh_paused",
	"tokens are not renewed: this service was restored, and another installation may have the same tokens; an operator continues with `integrations resume-tokens`")

func pausedIf(shared bool) error {
	if shared {
		return ErrPaused
	}
	return nil
}

// shared reports whether another installation may have the tokens of a grant.
func (a *Authorizations) shared(ctx context.Context, g grant) (bool, error) {
	since, err := a.Events.TokensSharedSince(ctx)
	return g.IssuedAt.Before(since), err
}

// Required returns the error of a call that only a person's consent makes possible.
func Required(cause domain.LossCause) error {
	sentence := map[domain.LossCause]string{
		"":                       "nobody has signed in to this integration yet",
		domain.LossRefused:       "the authorization server has ended what was permitted; sign in again",
		domain.LossAnswerLost:    "the answer to a renewal was lost, so what was permitted can't be renewed; sign in again",
		domain.LossUnclassified:  "the authorization server keeps refusing to renew what was permitted, without a known reason; sign in again",
		domain.LossNoRefresh:     "what was permitted has expired, and can't be renewed; sign in again",
		domain.LossTokenRefused:  "the upstream refuses what was permitted; sign in again",
		domain.LossClientUnknown: "the authorization server has forgotten the client that this service registered there; sign in again, which registers another",
		domain.LossChanged:       "the integration has changed to what nobody has permitted; sign in again",
	}[cause]
	return domain.Errorf(domain.Conflict, domain.AuthorizationRequiredCode, "%s", sentence)
}
