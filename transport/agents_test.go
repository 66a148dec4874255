package transport_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/internal/peers"
)

// agentsDocument returns the code of docs/agents.md, by the heading and the language of each block.
func agentsDocument(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/agents.md")
	require.NoError(t, err)
	code := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		for _, block := range regexp.MustCompile("(?s)\n```(\\w+)\n(.*?)\n```\n").FindAllStringSubmatch(body, -1) {
			code[heading+" "+block[1]] = append(code[heading+" "+block[1]], block[2])
		}
	}
	return code
}

// scheduling is the integration of the document, and the environment for its samples.
func (s *service) scheduling(t *testing.T) (env []string) {
	t.Helper()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"day":"` + r.URL.Path[1:] + `","slots":["09:00"]}`))
	})
	s.create(rest("scheduling", u.url, members{"endpoints": []any{endpoint("list_slots", members{
		"description": "List the free slots of a day.", "path": "/{day}",
		"input_schema": members{"type": "object", "properties": members{"day": members{"type": "string"}}, "required": []string{"day"}},
	})}}))
	return []string{"MCP_URL=" + s.url + "/v1/acme/mcp", "AGENT_KEY=" + s.issue("acme", access.Invoke)}
}

const slotsOfMonday = `{"day":"monday","slots":["09:00"]}`

func TestTheSamplesForAgentsRunAsTheyAreWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	code := agentsDocument(t)
	s := serve(t)
	env := s.scheduling(t)
	sample := func(name string) string {
		require.Len(t, code[name+" python"], 1, name)
		return code[name+" python"][0]
	}
	calls := 0
	called := func(t *testing.T) {
		calls++
		require.Len(t, s.get("/integrations/calls?kind=mcp").is(200).at("items"), calls)
	}
	t.Run("FastMCP", func(t *testing.T) {
		out := peers.RunCode(t, "", sample("FastMCP"), env...)
		require.Equal(t, "['scheduling__list_slots']\n"+slotsOfMonday+"\n", out)
		called(t)
	})
	t.Run("LangChain", func(t *testing.T) {
		out := peers.RunCode(t, "langchain", sample("LangChain"), env...)
		require.Contains(t, out, "['scheduling__list_slots']\n")
		require.Contains(t, out, slotsOfMonday)
		called(t)
	})
	t.Run("OpenAI Agents SDK", func(t *testing.T) {
		model, asked := startModel(t)
		out := peers.RunCode(t, "", sample("OpenAI Agents SDK"), append(env, "OPENAI_BASE_URL="+model, "OPENAI_API_KEY=none", "OPENAI_AGENTS_DISABLE_TRACING=1")...)
		require.Contains(t, out, "The tool answered: ")
		require.Contains(t, out, "09:00")
		require.EqualValues(t, 2, asked.Load())
		called(t)
	})
}

// startModel starts an endpoint with the form of OpenAI's Responses API. The model asks for
// the one tool that it is offered, then repeats what that answered.
func startModel(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var got struct {
			Tools []struct{ Type, Name string }
			Input json.RawMessage
		}
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&got))
		var items []struct {
			Type   string          `json:"type"`
			Output json.RawMessage `json:"output"`
		}
		_ = json.Unmarshal(got.Input, &items) // the first is a text
		output := any(members{"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": got.Tools[0].Name, "arguments": `{"day": "monday"}`, "status": "completed"})
		for _, item := range items {
			if item.Type == "function_call_output" {
				output = members{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []any{
					members{"type": "output_text", "text": "The tool answered: " + string(item.Output), "annotations": []any{}},
				}}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(members{
			"id": "resp_1", "object": "response", "created_at": 0, "status": "completed", "model": "local", "output": []any{output},
			"parallel_tool_calls": false, "tool_choice": "auto", "tools": []any{},
		})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// FastMCP reads the configuration files of Claude and Cursor; those of others differ by names.
func TestTheConfigurationsForAgentsLeadToTheWorkspace(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	code := agentsDocument(t)
	s := serve(t)
	env := s.scheduling(t)
	key := strings.TrimPrefix(env[1], "AGENT_KEY=")
	configurations := map[string]any{}
	for name, rename := range map[string]*strings.Replacer{
		"Claude":  strings.NewReplacer("${AGENT_KEY}", key),
		"Cursor":  strings.NewReplacer("${env:AGENT_KEY}", key),
		"VS Code": strings.NewReplacer("${input:integrations-key}", key, `"servers"`, `"mcpServers"`),
		"Gemini":  strings.NewReplacer("${AGENT_KEY}", key, `"httpUrl"`, `"url"`),
	} {
		blocks := code[name+" json"]
		require.NotEmpty(t, blocks, name)
		var one map[string]any
		require.NoError(t, json.Unmarshal([]byte(rename.Replace(strings.ReplaceAll(blocks[0], "http://127.0.0.1:8080", s.url))), &one), name)
		delete(one, "inputs")
		configurations[name] = one
	}
	written, err := json.Marshal(configurations)
	require.NoError(t, err)
	out := peers.RunCode(t, "", `
import asyncio, json, os
from fastmcp import Client

async def main():
    for name, configuration in sorted(json.loads(os.environ["CONFIGURATIONS"]).items()):
        for mode in ("auto", "legacy"):
            async with Client(configuration, mode=mode) as client:
                result = await client.call_tool("scheduling__list_slots", {"day": "monday"})
                print(name, mode, result.content[0].text)

asyncio.run(main())
`, "CONFIGURATIONS="+string(written))
	var want strings.Builder
	for _, name := range []string{"Claude", "Cursor", "Gemini", "VS Code"} {
		for _, mode := range []string{"auto", "legacy"} {
			want.WriteString(name + " " + mode + " " + slotsOfMonday + "\n")
		}
	}
	require.Equal(t, want.String(), out)
}

func TestTheGrantsOfTheDocumentAreRead(t *testing.T) {
	code := agentsDocument(t)["Sign in yaml"]
	require.Len(t, code, 1)
	m, err := oidcauth.ReadMapping([]byte(code[0]))
	require.NoError(t, err)
	require.Len(t, m.Grants, 2)
}
