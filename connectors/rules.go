package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// Rules returns the compilers of expressions, templates and schemas, so that a
// document is refused for what a call would stumble over.
func Rules() domain.Rules { return newSchemas().rules(context.Background()) }

// rules are those of the service; compiling ends with ctx.
func (s *schemas) rules(ctx context.Context) domain.Rules {
	return domain.Rules{
		Expression: func(s string) error {
			_, err := compile(s)
			return err
		},
		Template: func(s string) error {
			_, err := parseTemplate(s)
			return err
		},
		Schema: func(data []byte) error {
			schema, err := s.take(ctx, data)
			if err == nil {
				s.put(data, schema) // a test of it may follow, or the same again
			}
			return err
		},
	}
}

// Rules returns the rules of a service with these profiles.
func (r *Registry) Rules() domain.Rules {
	rules := r.way.schemas.rules(context.Background())
	rules.Stdio = map[string][]domain.Slot{}
	for _, p := range r.config.Profiles {
		rules.Stdio[p.Name] = p.slots()
	}
	return rules
}
