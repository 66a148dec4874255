package connectors

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

const (
	toolsList          = "tools/list" // the method of MCP that a discovery is shown with
	maxToolSchemas     = 256          // that are kept
	maxToolSchema      = 64 << 10     // bytes of one that is kept
	toolSchemaLifetime = time.Minute  // of one that is kept
	maxToolNames       = 20           // in a sentence
	maxToolDescription = 2047         // characters
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
	if hasSchema(e) || i.Consents() { // what a server offers may depend on whose token it gets
		return nil, false
	}
	return t.kept(i, e)
}

// kept returns the schema that the server lately had for a tool.
func (t *toolSchemas) kept(i domain.Integration, e domain.Endpoint) (json.RawMessage, bool) {
	found, ok := t.schemas.Get(toolKey(i, e))
	return found.schema, ok && t.now().Before(found.endsAt)
}

func (t *toolSchemas) put(i domain.Integration, e domain.Endpoint, schema json.RawMessage) {
	t.schemas.Add(toolKey(i, e), toolSchema{schema, t.now().Add(toolSchemaLifetime)})
}

// toolKey identifies what a schema is for: another version of an integration may be
// another server.
func toolKey(i domain.Integration, e domain.Endpoint) string {
	return fmt.Sprintf("%q %q %d %d %q %q", i.Workspace, i.ID, i.Incarnation, i.Version, i.MCPURL, toolName(e))
}

func hasSchema(e domain.Endpoint) bool {
	document := strings.TrimSpace(string(e.InputSchema))
	return document != "" && document != "{}"
}

// toolName returns the name of the tool that an endpoint calls, as its server has it.
func toolName(e domain.Endpoint) string { return cmp.Or(e.Tool, e.Name) }

// checkByServer returns what is wrong with the arguments by the server's schema, where
// that is not known yet and the endpoint has none. Where arguments travel as headers, the
// session gets to know the schema that asks for it.
func (m mcpConnector) checkByServer(ctx context.Context, s *mcp.Session, r *request, endpoint domain.Endpoint) ([]domain.Problem, *callerror.Error) {
	schema, known := m.tools.kept(r.Integration, endpoint)
	headers := s.SendsHeaders() && (mcp.HasHeaders(endpoint.InputSchema) || known && mcp.HasHeaders(schema))
	switch {
	case known && headers:
		s.Know(mcp.Tool{Name: toolName(endpoint), InputSchema: schema})
		return nil, nil
	case known || hasSchema(endpoint) && !headers:
		return nil, nil
	}
	schema, e := m.lookUp(ctx, s, r, endpoint)
	if e != nil || hasSchema(endpoint) {
		return nil, e
	}
	r.params = jsonschema.WithoutNulls(schema, r.params)
	return m.misfits(ctx, schema, r.params), nil
}

// lookUp asks the server for the tool of an endpoint, and keeps its schema. Among too many
// pages it may stay unknown, which leaves the checking to the server.
func (m mcpConnector) lookUp(ctx context.Context, s *mcp.Session, r *request, endpoint domain.Endpoint) (json.RawMessage, *callerror.Error) {
	var names []string
	var cursor string
	pages := cursors{}
	name := toolName(endpoint)
	for range maxToolPages {
		page, e := s.ListTools(ctx, cursor)
		if e != nil {
			return nil, e
		}
		if at := slices.IndexFunc(page.Tools, func(t mcp.Tool) bool { return t.Name == name }); at >= 0 {
			schema := page.Tools[at].InputSchema
			if len(schema) <= maxToolSchema {
				m.tools.put(r.Integration, endpoint, schema)
			}
			return schema, nil
		}
		if at := slices.IndexFunc(page.Skipped, func(t domain.Skipped) bool { return t.Operation == name }); at >= 0 {
			return nil, callerror.FoundMisconfigured("The tool %q of the MCP server can't be called. %s", name, r.Request.Scrubber().Text(page.Skipped[at].Reason))
		}
		for _, t := range page.Tools {
			names = append(names, t.Name)
		}
		if page.Next == "" {
			return nil, unknownTool(name, names, r.Request.Scrubber())
		}
		if cursor = page.Next; pages.repeat(cursor) {
			break
		}
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
	s, _, e := m.connect(ctx, r, domain.RetryConfig{}, keptSession{})
	if e != nil {
		return found, s.Last().Status, e
	}
	defer s.Close()
	offers := toolOffers{scrubber: r.Request.Scrubber(), found: &found, tools: map[string]bool{}, names: map[string]bool{}}
	var cursor string
	pages := cursors{}
	for range maxToolPages {
		page, e := s.ListTools(ctx, cursor)
		if e != nil {
			return found, s.Last().Status, e
		}
		offers.add(page)
		if cursor = page.Next; cursor == "" || len(found.Offers) > maxOffers || pages.repeat(cursor) {
			break
		}
	}
	found.Truncated = cursor != "" || len(found.Offers) > maxOffers
	found.Offers = found.Offers[:min(len(found.Offers), maxOffers)]
	return found, s.Last().Status, nil
}

// toolOffers turns the tools of a server into offers.
type toolOffers struct {
	scrubber scrub.Scrubber
	found    *domain.Discovery
	tools    map[string]bool // that were offered, by their own names
	names    map[string]bool // of endpoints that were offered
}

// maxSkipped bounds what one discovery reports as skipped.
const maxSkipped = 1000

func (o *toolOffers) add(page mcp.Page) {
	for _, s := range page.Skipped {
		o.skip(s.Operation, s.Reason)
	}
	for _, t := range page.Tools {
		name := endpointNameOf(t.Name)
		switch own := o.scrubber.Text(t.Name); {
		case o.tools[t.Name]:
			o.skip(own, "The server lists another tool of the same name.")
			continue
		case utf8.RuneCountInString(own) > maxToolName || strings.ContainsFunc(own, unicode.IsControl):
			o.skip(own, fmt.Sprintf("Its name has more than %d characters, or control characters.", maxToolName))
			continue
		case own != t.Name:
			o.skip(own, "Its name has a secret in it.")
			continue
		case o.names[name]:
			name = hashedName(t.Name)
		}
		o.tools[t.Name], o.names[name] = true, true
		o.found.Total++
		o.found.Offers = append(o.found.Offers, toolOffer(t, name, o.scrubber))
	}
}

func (o *toolOffers) skip(name, reason string) {
	if o.found.Total++; len(o.found.Skipped) < maxSkipped {
		o.found.Skipped = append(o.found.Skipped, domain.Skipped{
			Operation: jsonvalue.Abbreviate(o.scrubber.Text(name), 200), Reason: jsonvalue.Abbreviate(o.scrubber.Text(reason), mcp.MaxQuote),
		})
	}
}

var (
	plainToolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) // that an endpoint may have
	notInToolName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

const (
	maxEndpointName = 128
	maxToolName     = 256 // characters that the member tool of an endpoint may have
)

// endpointNameOf returns the name of a tool as one that an endpoint may have.
func endpointNameOf(tool string) string {
	if plainToolName.MatchString(tool) {
		return tool
	}
	name := strings.Trim(notInToolName.ReplaceAllString(tool, "_"), "_")
	if name == "" || len(name) > maxEndpointName {
		return hashedName(tool)
	}
	return name
}

// hashedName returns a name for a tool that no other has.
func hashedName(tool string) string {
	sum := sha256.Sum256([]byte(tool))
	hash := "_" + hex.EncodeToString(sum[:6])
	name := strings.Trim(notInToolName.ReplaceAllString(tool, "_"), "_")
	return name[:min(len(name), maxEndpointName-len(hash))] + hash
}

// toolOffer returns a tool as an endpoint.
func toolOffer(t mcp.Tool, name string, scrubber scrub.Scrubber) domain.Offer {
	schema, isJSON := jsonvalue.Decode(t.InputSchema)
	written, err := json.Marshal(scrubber.Value(schema))
	if !isJSON || schema == nil || err != nil {
		written = []byte(`{}`) // the server checks
	}
	about := jsonvalue.FirstString(t.Description, t.Title, t.Name)
	offer := domain.Offer{
		Name: name, Description: jsonvalue.Abbreviate(scrubber.Text(about), maxToolDescription),
		Method: "POST", InputSchema: written, BodyFormat: "json", Annotations: t.Annotations,
	}
	if output, isJSON := jsonvalue.Decode(t.OutputSchema); isJSON && output != nil {
		if written, err := json.Marshal(scrubber.Value(output)); err == nil {
			offer.OutputSchema = written
		}
	}
	if name != t.Name {
		offer.Tool = t.Name
	}
	if title := scrubber.Text(t.Title); utf8.RuneCountInString(title) <= maxTitle && !strings.ContainsFunc(title, unicode.IsControl) {
		offer.Title = title
	}
	return offer
}

const maxTitle = 128 // characters that an endpoint's title may have
