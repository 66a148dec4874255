package connectors

import (
	"context"
	"slices"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// learn hands out every secret of an integration but those that are opened for
// the request itself: an upstream may show what other calls carried, as in a log
// of its requests. One that is missing can't be shown by anybody.
func (o *outbound) learn(ctx context.Context, i domain.Integration, open domain.Keyring, out *outgoing, but ...string) *fault {
	if out.dry || open == nil { // nothing is sent
		return nil
	}
	var others []domain.SecretRef
	for _, ref := range i.Secrets() {
		if ref.ID != "" && !slices.Contains(but, ref.ID) && !slices.Contains(out.opened, ref.ID) {
			others = append(others, ref)
		}
	}
	secrets, failures := make([]string, len(others)), make([]error, len(others))
	var opening sync.WaitGroup
	for n, ref := range others {
		opening.Go(func() {
			secret, err := open(ctx, ref)
			secrets[n], failures[n] = secret.Reveal(), err
		})
	}
	opening.Wait()
	for n, err := range failures {
		switch {
		case err == nil:
			out.secrets = append(out.secrets, secrets[n])
		case domain.KindOf(err) != domain.Invalid:
			return unopened(ctx, err)
		}
	}
	issued, _ := o.tokens.issued.get(ownerKey(i))
	out.secrets = append(out.secrets, issued...)
	return nil
}
