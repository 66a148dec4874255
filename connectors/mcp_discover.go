package connectors

import (
	"context"
	"encoding/json"
	"regexp"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// discover offers the tools of the server, one page after the other.
func (m mcp) discover(ctx context.Context, i domain.Integration, open domain.Keyring) (domain.Discovery, *fault) {
	out, f := m.build(i, nil, nil)
	if f == nil {
		f = m.ready(ctx, i, i.Auth, open, out)
	}
	if f != nil {
		return domain.Discovery{Source: toolsList}, f
	}
	found, status, f := m.list(ctx, i, out)
	switch again, unrenewed := out.renewed(ctx, status); {
	case unrenewed != nil:
		f = unrenewed
	case again:
		found, _, f = m.list(ctx, i, out)
	}
	return found, f
}

// list connects and offers the tools. It returns the last status of HTTP too.
func (m mcp) list(ctx context.Context, i domain.Integration, out *outgoing) (domain.Discovery, int, *fault) {
	found := domain.Discovery{Source: toolsList}
	s, _, f := m.connect(ctx, i, out, domain.RetryConfig{})
	if f != nil {
		return found, s.seen().status, said(s, f)
	}
	defer s.end()
	var cursor string
	for range mostPages {
		p, f := s.page(ctx, cursor)
		if f != nil {
			return found, s.seen().status, said(s, f)
		}
		for _, t := range p.Tools {
			if offer, ok := s.offer(t); ok {
				found.Offers = append(found.Offers, offer)
			}
		}
		if cursor = p.Next; cursor == "" || len(found.Offers) > mostOffers {
			break
		}
	}
	found.Truncated = cursor != "" || len(found.Offers) > mostOffers
	found.Offers = found.Offers[:min(len(found.Offers), mostOffers)]
	return found, s.seen().status, nil
}

// said is f without secrets.
func said(s *session, f *fault) *fault {
	return &fault{code: f.code, sentence: f.shown(s.wire.scrubber)}
}

const maxDescription = 2048 // characters of an endpoint's description

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) // that an endpoint may have

// offer returns a tool as an endpoint, unless no endpoint can have its name.
func (s *session) offer(t tool) (domain.Offer, bool) {
	if !toolName.MatchString(t.Name) {
		return domain.Offer{}, false
	}
	schema, isJSON := jsonvalue.Decode(t.InputSchema)
	written, err := json.Marshal(s.wire.scrubber.Value(schema))
	if !isJSON || schema == nil || err != nil {
		written = []byte(`{}`) // the server checks
	}
	about := jsonvalue.FirstString(t.Description, t.Title, t.Name)
	return domain.Offer{
		Name: s.wire.scrubber.Text(t.Name), Description: jsonvalue.Abbreviate(s.wire.scrubber.Text(about), maxDescription-1),
		Method: "POST", InputSchema: written, BodyFormat: "json",
	}, true
}
