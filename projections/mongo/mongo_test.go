package mongo_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
	"github.com/seed677028b5/integrations/projections/projectiontest"
)

// On FerretDB a history takes a hundred times as long as on SQLite, so fewer are tried unless
// -rapid.checks sets a number.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestStoreOnFerretDB(t *testing.T) {
	testStore(t, ferrettest.Listen(t))
}

// TestStoreOnMongoDB runs if MONGODB_URI names a server. Each store has its own database there,
// which is dropped afterwards.
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
	fresh := func(t *testing.T) (one, other *mongo.Generations) {
		database := fmt.Sprintf("%s_%d", prefix, opened.Add(1))
		t.Cleanup(func() { drop(t, uri, database) })
		one, other = generations(t, uri, database), generations(t, uri, database)
		one.Grace, other.Grace = 0, 0
		return one, other
	}
	projectiontest.Run(t, func(t *testing.T) projections.Store {
		g, _ := fresh(t)
		_, s, err := g.Create(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.Index(t.Context()))
		return s
	})
	projectiontest.RunGenerations(t, func(t *testing.T) (one, other projections.Generations) { return fresh(t) })
}

func generations(t *testing.T, uri, database string) *mongo.Generations {
	t.Helper()
	g, err := mongo.Open(t.Context(), uri, database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

func drop(t *testing.T, uri, database string) {
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	require.NoError(t, client.Database(database).Drop(context.Background()))
	require.NoError(t, client.Disconnect(context.Background()))
}

func TestAServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = mongo.Open(t.Context(), "mongodb://"+l.Addr().String()+"/?serverSelectionTimeoutMS=200", "nowhere")
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

func TestAServerThatStopsRespondingIsUnavailable(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	go func() {
		for {
			if _, err := silent.Accept(); err != nil { // it accepts and never answers
				return
			}
		}
	}()
	_, err = mongo.Open(t.Context(), "mongodb://"+silent.Addr().String()+"/?directConnection=true", "silent")
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

func TestThePreviousGenerationStaysForReadersThatHaveNotSwitched(t *testing.T) {
	uri := ferrettest.Listen(t)
	g := generations(t, uri, "swept")
	var made []uint64
	for range 3 {
		n, s, err := g.Create(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Index(t.Context()))
		require.NoError(t, g.Promote(t.Context(), n))
		require.NoError(t, s.Close())
		made = append(made, n)
	}
	requireThere := func(there ...uint64) {
		t.Helper()
		for _, n := range there {
			s, err := g.Open(t.Context(), n)
			require.NoError(t, err)
			require.NoError(t, s.Close())
		}
	}
	require.NoError(t, g.Sweep(t.Context()))
	requireThere(made...)
	g.Grace = 0
	require.NoError(t, g.Sweep(t.Context()))
	_, err := g.Open(t.Context(), made[0])
	require.ErrorIs(t, err, projections.ErrUnusable)
	requireThere(made[1:]...)
}

func TestABuildWithoutHeartbeatsIsTakenOver(t *testing.T) {
	uri := ferrettest.Listen(t)
	g := generations(t, uri, "overtaken")
	n, s, err := g.Create(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Index(t.Context()))
	standing := client(t, uri).Database("overtaken").Collection("generations_v5_1")
	_, err = standing.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "beat", Value: time.Now().Add(-time.Minute)}}}})
	require.NoError(t, err)
	next, other, err := g.Create(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, g.Promote(t.Context(), n), projections.ErrOvertaken)
	require.NoError(t, g.Promote(t.Context(), next))
	require.NoError(t, other.Close())
}

func client(t *testing.T, uri string) *driver.Client {
	t.Helper()
	c, err := driver.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Disconnect(context.Background())) })
	return c
}

func TestEveryOrderHasAnIndex(t *testing.T) {
	uri := ferrettest.Listen(t)
	g := generations(t, uri, "indexed")
	_, s, err := g.Create(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Index(t.Context()))
	specs, err := client(t, uri).Database("indexed").Collection("integrations_v5_1_g1").Indexes().ListSpecifications(t.Context())
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
		fields := []string{"workspace", "deleted", by, "_id", "enabled", "protocol", "search"}
		if by == "name" {
			fields = append(fields, "every")
		}
		require.Equal(t, fields, indexed["by_"+by])
		require.Equal(t, []string{"workspace", "deleted", "enabled", "protocol", by, "_id", "search"}, indexed["filtered_by_"+by])
	}
}
