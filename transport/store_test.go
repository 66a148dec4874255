package transport_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// readStore returns an empty store that is deleted with the test: in SQLite, or if MONGODB_URI
// names a server, in its own database there.
func readStore(t *testing.T, dir string, log *slog.Logger) projections.Store {
	t.Helper()
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		store, err := sqlite.Open(t.Context(), filepath.Join(dir, "read.db"), log)
		require.NoError(t, err)
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	database := "transport_" + rand.Text()
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Database(database).Drop(context.Background()))
		require.NoError(t, client.Disconnect(context.Background()))
	})
	generations, err := mongo.Open(t.Context(), uri, database)
	require.NoError(t, err)
	t.Cleanup(func() { _ = generations.Close() })
	_, store, err := generations.Create(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	require.NoError(t, store.Index(t.Context()))
	return store
}
