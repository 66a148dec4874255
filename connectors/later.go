package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// later answers for a protocol that integrations may already name and calls
// can't speak yet.
type later struct {
	protocol string
	way      *outbound
}

func (l later) fault() *fault { return misconfigured("%s is not supported yet.", l.protocol) }

func (l later) call(context.Context, domain.Call) (domain.CallResult, error) {
	return failed(domain.CallResult{}, l.fault()), nil
}

func (l later) probe(_ context.Context, i domain.Integration, _ domain.Keyring) domain.Probe {
	return domain.Probe{Status: domain.Misconfigured, AuthResolved: i.Auth == nil, Message: l.fault().sentence, At: l.way.now()}
}
