package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestNumbersThatAFloatCanNotTellApartAreDifferent(t *testing.T) {
	bounded := func(most string) domain.Configuration {
		return domain.Configuration{DisplayName: most, Endpoints: []domain.Endpoint{{InputSchema: json.RawMessage(`{"maximum":` + most + `}`)}}}
	}
	for _, row := range [][2]string{{"9007199254740992", "9007199254740993"}, {"1e999", "1e998"}} {
		changes := domain.Changes(bounded(row[0]), bounded(row[1]))
		require.Len(t, changes, 2)
		require.Equal(t, domain.Change{Pointer: "/endpoints/0/input_schema/maximum", Old: json.Number(row[0]), New: json.Number(row[1])}, changes[1])
	}
}
