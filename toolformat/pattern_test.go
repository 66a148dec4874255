package toolformat_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolformat"
)

// patternOf returns the pattern that a tool of MCP has for one of an input schema.
func patternOf(t *testing.T, pattern string) any {
	t.Helper()
	schema, err := json.Marshal(map[string]any{"properties": map[string]any{"a": map[string]any{"pattern": pattern}}})
	require.NoError(t, err)
	tool := rendered(t, toolOf(string(schema)), toolformat.Options{Format: toolformat.MCP})
	return tool["inputSchema"].(map[string]any)["properties"].(map[string]any)["a"].(map[string]any)["pattern"]
}

// The patterns on the right compile in JavaScript with the flag u, as clients do.
var patternsOfClients = map[string]any{
	`^\d{4}-\d{2}(?:\:\d+)?$`: `^\d{4}-\d{2}(?::\d+)?$`,
	`^[A-Z0-9\_]+\-\@\"$`:     `^[A-Z0-9_]+-@"$`,
	`[\w-.]+`:                 `[\w\-.]+`,
	`[\w.-]`:                  `[\w.-]`,
	`[-a-z-9]`:                `[\-a-z\-9]`,
	`[]a[]`:                   `[\]a[]`,
	`[^]^\]]`:                 `[^\]^\]]`,
	`^{id}$`:                  `^\{id\}$`,
	`a{1,2}b{3}c{,4}]`:        `a{1,2}b{3}c\{,4\}\]`,
	`\A[[:alpha:]_é]+\z`:      `^[A-Za-z_é]+$`,
	`[\pL\p{Greek}\P{Lu}]`:    `[\p{L}\p{Script=Greek}\P{Lu}]`,
	`\p{^Nd}|\x{1F600}|\x41`:  `\P{Nd}|\u{1F600}|\x41`,
	`(?P<year>\d+)(?:-(b))?`:  `(\d+)(?:-(b))?`,
	`猫\ [犬-狼]`:                `猫 [犬-狼]`,
	`^(https?:\/\/)?.*\b`:     `^(https?:\/\/)?.*\b`,
	`(?i)a`:                   nil,
	`^(?!a)b`:                 nil,
	`\Qa.b\E`:                 nil,
	`a\07`:                    nil,
	`^*a`:                     nil,
	`[[:^alpha:]]`:            nil,
	`(a)\1`:                   nil,
}

func TestAPatternIsOneOfECMA262(t *testing.T) {
	for pattern, want := range patternsOfClients {
		require.Equal(t, want, patternOf(t, pattern), pattern)
	}
	require.Contains(t, rendered(t, toolOf(`{"patternProperties": {"^x\\-": {}, "(?i)y": {}}}`), toolformat.Options{Format: toolformat.MCP})["inputSchema"], "patternProperties")
	out := rendered(t, toolOf(`{}`, func(e *domain.Endpoint) {
		e.OutputSchema = json.RawMessage(`{"type": "object", "properties": {"a": {"type": "string", "pattern": "\\:"}}}`)
	}), toolformat.Options{Format: toolformat.MCP})["outputSchema"]
	isJSON(t, `{"type": "object", "properties": {"a": {"type": "string", "pattern": ":"}}}`, out)
}

// A pattern takes the same texts as before.
func FuzzAPatternMeansTheSame(f *testing.F) {
	for pattern := range patternsOfClients {
		for _, text := range []string{"", "a", "2024-10:1", "A_-@\"", "{id}", "]", "é", "aabbbc{,4}]", "α1"} {
			f.Add(pattern, text)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		before, err := regexp.Compile(pattern)
		if err != nil {
			t.Skip()
		}
		translated, isText := toolformat.PatternOfClients(pattern)
		if !isText {
			return
		}
		again, _ := toolformat.PatternOfClients(translated)
		after, err := regexp.Compile(translated)
		if err != nil { // \u{} and \p{Script=} are not read here
			return
		}
		require.Equal(t, before.MatchString(text), after.MatchString(text), "%q %q", pattern, translated)
		require.Equal(t, translated, again)
	})
}
