package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// BenchmarkCreate measures a decision on a document with one endpoint; see
// docs/adr 5.
func BenchmarkCreate(b *testing.B) {
	document := doc(b, calling)
	b.ReportAllocs()
	for b.Loop() {
		_, err := domain.Integration{}.Create("acme", document, domain.Attempt{At: noon, ID: "a1"}, rules)
		require.NoError(b, err)
	}
}

func BenchmarkNewID(b *testing.B) {
	for b.Loop() {
		domain.NewID("acme", "crm")
	}
}
