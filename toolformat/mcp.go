package toolformat

import (
	"cmp"
	"net/http"

	"github.com/seed677028b5/integrations/domain"
)

// mcpTool returns a Tool of MCP: its schema is JSON Schema 2020-12.
func mcpTool(t domain.Tool, schema object) map[string]any {
	tool := map[string]any{
		"name": t.Name, "title": cmp.Or(t.Endpoint.Title, t.Endpoint.Name), "description": t.Description, "inputSchema": schema,
	}
	if hints := Hints(t); len(hints) > 0 {
		tool["annotations"] = hints
	}
	if output, err := read(t.Endpoint.OutputSchema); err == nil { // a client that can't compile it may see no tool at all
		tool["outputSchema"] = output
	}
	return tool
}

// Hints returns the ToolAnnotations of MCP for a tool: what its HTTP method means, and over
// that what its endpoint is configured with. The method of an MCP endpoint means nothing.
func Hints(t domain.Tool) map[string]bool {
	hints := map[string]bool{}
	if t.Integration.Protocol != domain.MCP {
		switch t.Endpoint.Method {
		case http.MethodGet:
			hints["readOnlyHint"] = true
		case http.MethodPut:
			hints["idempotentHint"] = true
		case http.MethodDelete:
			hints["destructiveHint"] = true
		}
	}
	if own := t.Endpoint.Annotations; own != nil {
		for name, hint := range map[string]*bool{
			"readOnlyHint": own.ReadOnly, "destructiveHint": own.Destructive, "idempotentHint": own.Idempotent, "openWorldHint": own.OpenWorld,
		} {
			if hint != nil {
				hints[name] = *hint
			}
		}
	}
	return hints
}
