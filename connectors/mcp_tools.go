package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const (
	mostPages     = 20             // of tools/list that are read for one call
	mostSchemas   = 256            // schemas that are remembered
	mostSchema    = 64 << 10       // bytes of one that is remembered
	schemaIsGood  = time.Minute    // for so long
	mostToolsTold = 20             // names of tools in a sentence
	headerSchema  = "x-mcp-header" // says that an argument must travel as a header too
)

// page is one answer to tools/list, as far as it is read.
type page struct {
	Tools []tool `json:"tools"`
	Next  string `json:"nextCursor"`
}

type tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// listedTool is what a server said of a tool.
type listedTool struct {
	schema json.RawMessage
	until  time.Time
}

// page asks for one page of tools.
func (s *session) page(ctx context.Context, cursor string) (page, *fault) {
	raw, f := s.request(ctx, toolsList, func(ctx context.Context, client *sdk.ClientSession) error {
		_, err := client.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		return err
	})
	if f != nil {
		return page{}, f
	}
	var read page
	if json.Unmarshal(raw, &read) != nil {
		return page{}, &fault{code: domain.CallUpstreamError, sentence: "What the MCP server answered is not a list of tools."}
	}
	return read, nil
}

func (p page) counted() string {
	switch {
	case p.Next != "":
		return fmt.Sprintf("more than %d tools", len(p.Tools))
	case len(p.Tools) == 1:
		return "1 tool"
	}
	return fmt.Sprintf("%d tools", len(p.Tools))
}

// introduced says which version was agreed on, and with whom.
func (s *session) introduced() string {
	agreed := s.client.InitializeResult()
	said := "The server speaks MCP " + jsonvalue.Abbreviate(s.wire.scrubber.Text(agreed.ProtocolVersion), 40)
	if server := agreed.ServerInfo; server != nil && server.Name != "" {
		said += " (" + jsonvalue.Abbreviate(s.wire.scrubber.Text(strings.TrimSpace(server.Name+" "+server.Version)), 100) + ")"
	}
	return said
}

// lookUp asks the server for the tool of an endpoint, and remembers it. Among
// too many pages it may stay unknown, which leaves the checking to the server.
func (m mcp) lookUp(ctx context.Context, s *session, i domain.Integration, e domain.Endpoint) (listedTool, *fault) {
	var names []string
	var cursor string
	for range mostPages {
		p, f := s.page(ctx, cursor)
		if f != nil {
			return listedTool{}, f
		}
		if at := slices.IndexFunc(p.Tools, func(t tool) bool { return t.Name == e.Name }); at >= 0 {
			found := listedTool{schema: p.Tools[at].InputSchema, until: m.way.now().Add(schemaIsGood)}
			// The SDK must have seen a tool whose arguments travel as headers.
			if len(found.schema) <= mostSchema && !bytes.Contains(found.schema, []byte(headerSchema)) {
				m.schemas.put(schemaKey(i, e), found)
			}
			return found, nil
		}
		for _, t := range p.Tools {
			names = append(names, t.Name)
		}
		if p.Next == "" {
			return listedTool{}, s.unknownTool(e.Name, names)
		}
		cursor = p.Next
	}
	return listedTool{}, nil
}

func (s *session) unknownTool(name string, names []string) *fault {
	if len(names) == 0 {
		return misconfiguredServer("The MCP server has no tool called %q: it offers none.", name)
	}
	more := ""
	if len(names) > mostToolsTold {
		names, more = names[:mostToolsTold], " and others"
	}
	return misconfiguredServer("The MCP server has no tool called %q. It offers %s%s.", name, jsonvalue.Abbreviate(s.wire.scrubber.Text(strings.Join(names, ", ")), mostTold), more)
}

// remembered returns the schema that the server lately told for an endpoint
// that has none of its own.
func (m mcp) remembered(i domain.Integration, e domain.Endpoint) (json.RawMessage, bool) {
	if hasSchema(e) {
		return nil, false
	}
	found, ok := m.schemas.get(schemaKey(i, e))
	return found.schema, ok && m.way.now().Before(found.until)
}

// schemaKey names what a schema was told for: another version of an integration
// may be another server.
func schemaKey(i domain.Integration, e domain.Endpoint) string {
	return fmt.Sprintf("%q %q %d %d %q %q", i.Workspace, i.ID, i.Incarnation, i.Version, i.MCPURL, e.Name)
}

func hasSchema(e domain.Endpoint) bool {
	document := strings.TrimSpace(string(e.InputSchema))
	return document != "" && document != "{}"
}

// misfits returns what is wrong with arguments by a server's schema. One that is
// not understood here is left to the server.
func (m mcp) misfits(ctx context.Context, schema json.RawMessage, arguments map[string]any) []domain.Problem {
	problems, f := m.way.checkParams(ctx, domain.Endpoint{InputSchema: schema}, arguments)
	if f != nil {
		return nil
	}
	return problems
}
