package mongo_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/faultproxy"
	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
)

// A server is the server that a store is tested on, and a database there.
type server struct {
	uri, database string
	real          bool // MongoDB itself, not something that speaks its protocol
}

// serverOf returns the server of MONGODB_URI, or a FerretDB, and a database that is dropped
// after the test.
func serverOf(t *testing.T) server {
	t.Helper()
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		uri = ferrettest.Listen(t) + "?timeoutMS=60000" // it reads every document to replace one
	}
	at := server{uri: uri, database: fmt.Sprintf("server_%d_%d", os.Getpid(), time.Now().UnixNano())}
	t.Cleanup(func() { drop(t, at.uri, at.database) })
	var info bson.M
	require.NoError(t, client(t, uri).Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info))
	_, ferret := info["ferretdbVersion"]
	at.real = !ferret
	return at
}

// watched returns an empty store, and a function that returns the commands sent since its last
// call.
func (at server) watched(t *testing.T) (s projections.Store, sent func() []bson.Raw) {
	t.Helper()
	var mu sync.Mutex
	var all []bson.Raw
	g, err := mongo.OpenWatched(t.Context(), at.uri, at.database, func(e *event.CommandStartedEvent) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, slices.Clone(e.Command))
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	_, s, err = g.Create(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Index(t.Context()))
	return s, func() []bson.Raw {
		mu.Lock()
		defer mu.Unlock()
		sent := all
		all = nil
		return sent
	}
}

// named is an integration of a workspace.
func named(w domain.Workspace, name string) domain.Integration {
	return domain.Integration{
		ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: noon, UpdatedAt: noon,
		Configuration: domain.Configuration{DisplayName: name, Protocol: domain.REST, BaseURL: "https://crm.example.com", Enabled: true, Endpoints: []domain.Endpoint{}},
	}
}

// numbered returns one of many integrations; a higher number is later.
func numbered(w domain.Workspace, n int) domain.Integration {
	i := named(w, fmt.Sprintf("crm-%06d", n))
	i.CreatedAt = noon.Add(time.Duration(n) * time.Second)
	return i
}

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

// fill creates count integrations in a workspace, named crm-000000 and so on.
func fill(t *testing.T, s projections.Store, w domain.Workspace, count int) {
	t.Helper()
	const batch = 1000
	for from := 0; from < count; from += batch {
		var b projections.Batch
		for n := from; n < min(from+batch, count); n++ {
			b.Documents = append(b.Documents, projections.Document{Position: uint64(n + 1), Integration: numbered(w, n)})
		}
		b.Reached.Integrations = uint64(min(from+batch, count))
		require.NoError(t, s.Apply(t.Context(), b))
	}
}

func TestEveryWriteIsAcknowledgedByAMajorityAndEveryReadIsOfThePrimary(t *testing.T) {
	at := serverOf(t)
	join := "/?"
	if strings.Contains(at.uri, "?") {
		join = "&"
	}
	at.uri = strings.TrimSuffix(at.uri, "/") + join + "w=1&readPreference=secondary" // whatever the URI specifies
	s, sent := at.watched(t)
	fill(t, s, "acme", 3)
	_, err := s.List(t.Context(), "acme", projections.Query{Limit: 1, Filter: projections.Filter{Search: "crm"}})
	require.NoError(t, err)
	_, err = s.Positions(t.Context())
	require.NoError(t, err)
	writes, reads := 0, 0
	for _, command := range sent() {
		elements, err := command.Elements()
		require.NoError(t, err)
		switch name := elements[0].Key(); name {
		case "insert", "update", "delete", "findAndModify", "createIndexes", "create", "drop":
			writes++
			require.Equal(t, "majority", command.Lookup("writeConcern", "w").StringValue(), name)
		case "find", "aggregate", "count", "getMore":
			reads++
			if mode, err := command.LookupErr("$readPreference", "mode"); err == nil { // the default is the primary
				require.Equal(t, "primaryPreferred", mode.StringValue(), "this is what the driver sends to a single server")
			}
		}
	}
	require.Greater(t, writes, 5)
	require.Greater(t, reads, 3)
}

func TestALostConnectionHeals(t *testing.T) {
	at := serverOf(t)
	host := options.Client().ApplyURI(at.uri).Hosts[0]
	proxy := faultproxy.New(t, host)
	far := server{uri: strings.Replace(at.uri, host, proxy.Listen, 1), database: at.database}
	s, _ := far.watched(t)
	fill(t, s, "acme", 3)
	proxy.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := s.List(ctx, "acme", projections.Query{Limit: 10})
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.Equal(t, domain.Unavailable, domain.KindOf(s.Apply(ctx, projections.Batch{Reached: projections.Positions{Integrations: 9}})))
	proxy.Start()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, time.Minute, 20*time.Millisecond)
	page, err := s.List(t.Context(), "acme", projections.Query{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 3, page.Total)
	fill(t, s, "other", 3)
}
