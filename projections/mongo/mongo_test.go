package mongo_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
	"github.com/seed677028b5/integrations/projections/projectiontest"
)

func TestStoreOnFerretDB(t *testing.T) {
	testStore(t, ferret(t))
}

// TestStoreOnMongoDB runs where MONGODB_URI says that there is a server. Each
// store has a database of its own there, which is dropped afterwards.
func TestStoreOnMongoDB(t *testing.T) {
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		t.Skip("set MONGODB_URI to test against a MongoDB server")
	}
	testStore(t, uri)
}

func testStore(t *testing.T, uri string) {
	var opened atomic.Int64
	prefix := fmt.Sprintf("projections_%d_%d", os.Getpid(), time.Now().UnixNano())
	projectiontest.Run(t, func(t *testing.T) projections.Store {
		database := fmt.Sprintf("%s_%d", prefix, opened.Add(1))
		s, err := mongo.Open(t.Context(), uri, database)
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, s.Close())
			drop(t, uri, database)
		})
		return s
	})
}

func drop(t *testing.T, uri, database string) {
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	require.NoError(t, client.Database(database).Drop(context.Background()))
	require.NoError(t, client.Disconnect(context.Background()))
}

// ferret starts FerretDB, which speaks MongoDB's protocol, in this process.
func ferret(t *testing.T) string {
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: "127.0.0.1:0"}, Handler: "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/", Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-stopped
	})
	return f.MongoDBURI()
}

func TestAServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = mongo.Open(t.Context(), "mongodb://"+l.Addr().String()+"/?serverSelectionTimeoutMS=200", "nowhere")
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

func TestAServerThatHasGoneSilentIsUnavailable(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	go func() {
		for {
			if _, err := silent.Accept(); err != nil { // what is accepted is never answered
				return
			}
		}
	}()
	_, err = mongo.Open(t.Context(), "mongodb://"+silent.Addr().String()+"/?directConnection=true", "silent")
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

func TestAStoreOpensOnWhatAnotherHasWritten(t *testing.T) {
	uri := ferret(t)
	first, err := mongo.Open(t.Context(), uri, "shared")
	require.NoError(t, err)
	require.NoError(t, first.Apply(t.Context(), projections.Batch{Reached: projections.Positions{Integrations: 7}}))
	require.NoError(t, first.Close())
	second, err := mongo.Open(t.Context(), uri, "shared")
	require.NoError(t, err)
	positions, err := second.Positions(t.Context())
	require.NoError(t, err)
	require.Equal(t, projections.Positions{Integrations: 7}, positions)
	require.NoError(t, second.Close())
}

func TestEveryOrderHasAnIndex(t *testing.T) {
	uri := ferret(t)
	s, err := mongo.Open(t.Context(), uri, "indexed")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Disconnect(context.Background())) })
	specs, err := client.Database("indexed").Collection("integrations_v1").Indexes().ListSpecifications(t.Context())
	require.NoError(t, err)
	indexed := map[string][]string{}
	for _, spec := range specs {
		elements, err := spec.KeysDocument.Elements()
		require.NoError(t, err)
		for _, e := range elements {
			indexed[spec.Name] = append(indexed[spec.Name], e.Key())
		}
	}
	for _, by := range []string{"name", "created_at", "updated_at"} {
		require.Equal(t, []string{"workspace", "deleted", by, "_id", "enabled", "protocol", "search"}, indexed["by_"+by])
	}
}
