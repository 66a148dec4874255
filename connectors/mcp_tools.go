package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

const (
	toolsList          = "tools/list"   // the method of MCP that a discovery is shown with
	maxToolPages       = 20             // of tools/list that are read for one call
	maxToolSchemas     = 256            // that are kept
	maxToolSchema      = 64 << 10       // bytes of one that is kept
	toolSchemaLifetime = time.Minute    // of one that is kept
	maxToolNames       = 20             // in a sentence
	maxToolDescription = 2047           // characters
	headerSchema       = "x-mcp-header" // marks an argument that must travel as a header too
)

// toolSchemas keeps the schemas that servers lately had for endpoints without one.
type toolSchemas struct {
	schemas *lru.Cache[string, toolSchema]
	now     func() time.Time
}

type toolSchema struct {
	schema json.RawMessage
	endsAt time.Time
}

func newToolSchemas(now func() time.Time) *toolSchemas {
	schemas, err := lru.New[string, toolSchema](maxToolSchemas)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &toolSchemas{schemas, now}
}

// get returns the schema of a tool for an endpoint that has none of its own.
func (t *toolSchemas) get(i domain.Integration, e domain.Endpoint) (json.RawMessage, bool) {
	if hasSchema(e) {
		return nil, false
	}
	found, ok := t.schemas.Get(toolKey(i, e))
	return found.schema, ok && t.now().Before(found.endsAt)
}

func (t *toolSchemas) put(i domain.Integration, e domain.Endpoint, schema json.RawMessage) {
	t.schemas.Add(toolKey(i, e), toolSchema{schema, t.now().Add(toolSchemaLifetime)})
}

// toolKey identifies what a schema is for: another version of an integration may be
// another server.
func toolKey(i domain.Integration, e domain.Endpoint) string {
	return fmt.Sprintf("%q %q %d %d %q %q", i.Workspace, i.ID, i.Incarnation, i.Version, i.MCPURL, e.Name)
}

func hasSchema(e domain.Endpoint) bool {
	document := strings.TrimSpace(string(e.InputSchema))
	return document != "" && document != "{}"
}

// checkByServer returns what is wrong with the arguments by the server's schema, where
// that is not known yet and the endpoint has none.
func (m mcpConnector) checkByServer(ctx context.Context, s *mcp.Session, r *request, endpoint domain.Endpoint) ([]domain.Problem, *callerror.Error) {
	if _, known := m.tools.get(r.Integration, endpoint); known || hasSchema(endpoint) {
		return nil, nil
	}
	schema, e := m.lookUp(ctx, s, r, endpoint)
	if e != nil {
		return nil, e
	}
	return m.misfits(ctx, schema, r.params), nil
}

// lookUp asks the server for the tool of an endpoint, and keeps its schema. Among too many
// pages it may stay unknown, which leaves the checking to the server.
func (m mcpConnector) lookUp(ctx context.Context, s *mcp.Session, r *request, endpoint domain.Endpoint) (json.RawMessage, *callerror.Error) {
	var names []string
	var cursor string
	for range maxToolPages {
		page, e := s.ListTools(ctx, cursor)
		if e != nil {
			return nil, e
		}
		if at := slices.IndexFunc(page.Tools, func(t mcp.Tool) bool { return t.Name == endpoint.Name }); at >= 0 {
			schema := page.Tools[at].InputSchema
			// The SDK must have seen a tool whose arguments travel as headers.
			if len(schema) <= maxToolSchema && !bytes.Contains(schema, []byte(headerSchema)) {
				m.tools.put(r.Integration, endpoint, schema)
			}
			return schema, nil
		}
		for _, t := range page.Tools {
			names = append(names, t.Name)
		}
		if page.Next == "" {
			return nil, unknownTool(endpoint.Name, names, r.Request.Scrubber())
		}
		cursor = page.Next
	}
	return nil, nil
}

func unknownTool(name string, offered []string, scrubber scrub.Scrubber) *callerror.Error {
	if len(offered) == 0 {
		return callerror.FoundMisconfigured("The MCP server has no tool called %q: it offers none.", name)
	}
	more := ""
	if len(offered) > maxToolNames {
		offered, more = offered[:maxToolNames], " and others"
	}
	return callerror.FoundMisconfigured("The MCP server has no tool called %q. It offers %s%s.", name, jsonvalue.Abbreviate(scrubber.Text(strings.Join(offered, ", ")), mcp.MaxQuote), more)
}

// misfits returns what is wrong with arguments by a server's schema. One that is not
// understood here is left to the server.
func (m mcpConnector) misfits(ctx context.Context, schema json.RawMessage, arguments map[string]any) []domain.Problem {
	problems, e := m.checkParams(ctx, schema, arguments)
	if e != nil {
		return nil
	}
	return problems
}

// discover offers the tools of the server, one page after the other.
func (m mcpConnector) discover(ctx context.Context, i domain.Integration, open domain.Keyring) (found domain.Discovery, e *callerror.Error) {
	r, e := m.request(i, nil, nil)
	if e == nil {
		r.Auth, r.Keyring = i.Auth, open
		e = m.sign(ctx, r)
	}
	if e != nil {
		return domain.Discovery{Source: toolsList}, e
	}
	_, e = m.attempts.Run(ctx, r.credential, domain.RetryConfig{}, func() (o upstream.Outcome) {
		found, o.Status, o.Err = m.list(ctx, r)
		return o
	}, upstream.Once)
	if e != nil {
		e = &callerror.Error{Code: e.Code, Sentence: e.Shown(r.Request.Scrubber())}
	}
	return found, e
}

// list connects and offers the tools. It returns the last status of HTTP too.
func (m mcpConnector) list(ctx context.Context, r *request) (domain.Discovery, int, *callerror.Error) {
	found := domain.Discovery{Source: toolsList}
	s, _, e := m.connect(ctx, r, domain.RetryConfig{})
	if e != nil {
		return found, s.Last().Status, e
	}
	defer s.Close()
	scrubber := r.Request.Scrubber()
	var cursor string
	for range maxToolPages {
		page, e := s.ListTools(ctx, cursor)
		if e != nil {
			return found, s.Last().Status, e
		}
		for _, t := range page.Tools {
			if offer, ok := toolOffer(t, scrubber); ok {
				found.Offers = append(found.Offers, offer)
			}
		}
		if cursor = page.Next; cursor == "" || len(found.Offers) > maxOffers {
			break
		}
	}
	found.Truncated = cursor != "" || len(found.Offers) > maxOffers
	found.Offers = found.Offers[:min(len(found.Offers), maxOffers)]
	return found, s.Last().Status, nil
}

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) // that an endpoint may have

// toolOffer returns a tool as an endpoint, unless no endpoint can have its name.
func toolOffer(t mcp.Tool, scrubber scrub.Scrubber) (domain.Offer, bool) {
	if !toolName.MatchString(t.Name) {
		return domain.Offer{}, false
	}
	schema, isJSON := jsonvalue.Decode(t.InputSchema)
	written, err := json.Marshal(scrubber.Value(schema))
	if !isJSON || schema == nil || err != nil {
		written = []byte(`{}`) // the server checks
	}
	about := jsonvalue.FirstString(t.Description, t.Title, t.Name)
	return domain.Offer{
		Name: scrubber.Text(t.Name), Description: jsonvalue.Abbreviate(scrubber.Text(about), maxToolDescription),
		Method: "POST", InputSchema: written, BodyFormat: "json",
	}, true
}
