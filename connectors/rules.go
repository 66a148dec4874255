package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/domain"
)

// Rules returns the compilers of expressions, templates and schemas, so that a
// document is refused for what a call would stumble over.
func Rules() domain.Rules { return rules(context.Background(), jsonschema.NewCache()) }

// rules returns the rules; compiling a schema ends with ctx.
func rules(ctx context.Context, schemas *jsonschema.Cache) domain.Rules {
	return domain.Rules{
		Expression: reshape.CheckExpression,
		Template:   reshape.CheckTemplate,
		Schema:     func(document []byte) error { return schemas.Check(ctx, document) },
	}
}

// Rules returns the rules of a service with these profiles.
func (r *Registry) Rules() domain.Rules {
	all := rules(context.Background(), r.caller.schemas)
	all.Stdio = map[string][]domain.Slot{}
	for _, p := range r.config.Profiles {
		all.Stdio[p.Name] = p.ArgumentSlots()
	}
	return all
}
