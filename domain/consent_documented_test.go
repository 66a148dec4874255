package domain_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

var consentRow = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `(\\{.*\\})` \\|$")

// Every example of docs/signing-in.md in which a person signs in can be created as it stands.
func TestTheExamplesOfAPersonsConsentCanBeCreated(t *testing.T) {
	text, err := os.ReadFile("../docs/signing-in.md")
	require.NoError(t, err)
	_, examples, found := strings.Cut(string(text), "### Examples")
	require.True(t, found)
	examples, _, _ = strings.Cut(examples, "\n## ")
	rows := consentRow.FindAllStringSubmatch(examples, -1)
	require.Greater(t, len(rows), 10)
	for _, row := range rows {
		members := doc(t, strings.ReplaceAll(row[2], "<tenant>", "clinic"))
		if members["type"] != nil {
			members = domain.Document{"auth": map[string]any(members), "base_url": "https://api.example.com"}
		}
		if members["auth"].(map[string]any)["client_id"] == nil { // it is discovered
			members["protocol"], members["mcp_transport"], members["mcp_url"] = "mcp", "http", "https://mcp.example.com"
		}
		members["name"], members["display_name"] = "example", row[1]
		_, err := domain.Integration{}.Create("acme", members, domain.Attempt{At: noon, ID: "a1"}, rules)
		require.NoError(t, err, row[1])
	}
}
