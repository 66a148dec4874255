package connectors

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestAPageOfAsManyEndpointsAsAnIntegrationHasFitsIntoItsRequest(t *testing.T) {
	var paths, properties []string
	for n := range 150 {
		paths = append(paths, fmt.Sprintf(`"/p%d": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/s"}}}}}}`, n))
	}
	for n := range 400 {
		properties = append(properties, fmt.Sprintf(`"property_%d": {"type": "string", "description": "What it is."}`, n))
	}
	document := `{"openapi": "3.0.3", "paths": {` + strings.Join(paths, ",") + `}, "s": {"type": "object", "properties": {` + strings.Join(properties, ",") + `}}}`
	c := calling("https://a.example", nil, nil)
	names, pages := map[string]bool{}, 0
	for after, more := 0, true; more; pages++ {
		found := discovered(t, c, domain.Description{Text: []byte(document), Limit: 200, After: after})
		written, err := json.Marshal(found.Offers)
		require.NoError(t, err)
		require.Less(t, len(written), 1<<20-10_000)
		for _, o := range found.Offers {
			names[o.Name] = true
		}
		after, more = found.Next, found.Next > 0
	}
	require.Len(t, names, 150)
	require.Greater(t, pages, 1)
	require.Len(t, discovered(t, c, domain.Description{Text: []byte(document)}).Offers, 150, "without a limit")
}
