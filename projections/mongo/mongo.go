// Package mongo keeps read models in MongoDB, where several instances of the
// service share them. It promises what projections.Store does, with nothing but
// single-document writes: each is guarded by its position, so projectors that
// run at the same time do no harm.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/seed677028b5/integrations/projections"
)

// The version of the schema is part of every collection's name: another version
// of the service builds its own beside this one's. The number of the generation
// follows.
const (
	integrationsName = "integrations_v2"
	probesName       = "probes_v2"
	parkedName       = "parked_v2"
)

// positionsID is the _id of the document that says how far the logs are applied.
// It is among the integrations, so that whoever restores or drops them restores or
// drops it with them. No integration has that id, and none its workspace.
const positionsID = "~positions"

// Store keeps a generation of read models in collections of one database.
type Store struct {
	client       *mongo.Client
	faults       *faults
	integrations *mongo.Collection
	probes       *mongo.Collection
	parked       *mongo.Collection
	identity     string

	mu       sync.Mutex
	furthest projections.Positions // that were seen
}

// operationTimeout bounds one operation on a server that has gone silent.
const operationTimeout = 5 * time.Second

// settingsOf returns how to connect to the server at uri. Writes are acknowledged
// by a majority and reads go to the primary, whatever uri says.
func settingsOf(uri string) *options.ClientOptions {
	settings := options.Client().ApplyURI(uri).
		SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary()).SetAppName("integrations")
	if settings.Timeout == nil { // the URI says nothing of timeoutMS
		settings.SetTimeout(operationTimeout)
	}
	return settings
}

func connect(settings *options.ClientOptions) (*mongo.Client, *faults, error) {
	seen := &faults{}
	own := *settings
	client, err := mongo.Connect(own.SetServerMonitor(seen.monitor()))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	return client, seen, nil
}

// open returns the store of a generation, with a client of its own.
func open(settings *options.ClientOptions, database string, n uint64) (*Store, error) {
	client, seen, err := connect(settings)
	if err != nil {
		return nil, err
	}
	db := client.Database(database)
	return &Store{
		client:       client,
		faults:       seen,
		integrations: db.Collection(named(integrationsName, n)),
		probes:       db.Collection(named(probesName, n)),
		parked:       db.Collection(named(parkedName, n)),
	}, nil
}

// Identity implements projections.Store.
func (s *Store) Identity() string { return s.identity }

// named is the name of a collection of a generation.
func named(collection string, n uint64) string {
	return collection + "_g" + strconv.FormatUint(n, 10)
}

// indexes are what the lists of a workspace run along, forwards or backwards: one
// for each order, and one that has what is filtered by before it, so that a rare
// filter finds its own. The fields after _id let a filter be decided, and a total
// be counted, without reading documents.
func indexes() []mongo.IndexModel {
	var all []mongo.IndexModel
	keys := func(fields ...string) (keys bson.D) {
		for _, field := range fields {
			keys = append(keys, bson.E{Key: field, Value: 1})
		}
		return keys
	}
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		all = append(all,
			mongo.IndexModel{
				Keys:    keys("workspace", "deleted", string(by), "_id", "enabled", "protocol", "search"),
				Options: options.Index().SetName("by_" + string(by)),
			},
			mongo.IndexModel{
				Keys:    keys("workspace", "deleted", "enabled", "protocol", string(by), "_id", "search"),
				Options: options.Index().SetName("filtered_by_" + string(by)),
			})
	}
	return all
}

// Index implements projections.Store. The indexes are there already: making them
// on a large collection could take longer than one operation may. What it stores
// is that the generation was filled to its end.
func (s *Store) Index(ctx context.Context) error {
	result, err := s.integrations.UpdateOne(ctx, s.own(), bson.D{{Key: "$set", Value: bson.D{{Key: "whole", Value: true}}}})
	if err == nil && result.MatchedCount == 0 {
		err = projections.ErrReplaced
	}
	return s.away(ctx, err)
}

// ensureIndexes makes those that are missing.
func (s *Store) ensureIndexes(ctx context.Context) error {
	for _, index := range indexes() { // one at a time: FerretDB falls over a list of which some are there
		if _, err := s.integrations.Indexes().CreateOne(ctx, index); err != nil {
			return s.away(ctx, err)
		}
	}
	return nil
}

// Ping implements projections.Store.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Positions(ctx)
	return err
}

// Close implements projections.Store.
func (s *Store) Close() error { return disconnect(s.client) }

// disconnectWithin is how long a server that is away may hold up the end.
const disconnectWithin = time.Second

func disconnect(client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), disconnectWithin)
	defer cancel()
	err := client.Disconnect(ctx)
	if errors.Is(err, mongo.ErrClientDisconnected) || errors.Is(err, context.DeadlineExceeded) { // the server forgets it by itself
		return nil
	}
	return err
}
