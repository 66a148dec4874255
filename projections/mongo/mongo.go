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
	integrationsName = "integrations_v1"
	probesName       = "probes_v1"
	parkedName       = "parked_v1"
	metaName         = "meta_v1"
)

// positionsID is the _id of the one document of the meta collection.
const positionsID = "positions"

// Store keeps a generation of read models in collections of one database.
type Store struct {
	client       *mongo.Client
	integrations *mongo.Collection
	probes       *mongo.Collection
	parked       *mongo.Collection
	meta         *mongo.Collection
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

func connect(settings *options.ClientOptions) (*mongo.Client, error) {
	client, err := mongo.Connect(settings)
	if err != nil {
		return nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	return client, nil
}

// open returns the store of a generation, with a client of its own.
func open(settings *options.ClientOptions, database string, n uint64) (*Store, error) {
	client, err := connect(settings)
	if err != nil {
		return nil, err
	}
	db := client.Database(database)
	return &Store{
		client:       client,
		integrations: db.Collection(named(integrationsName, n)),
		probes:       db.Collection(named(probesName, n)),
		parked:       db.Collection(named(parkedName, n)),
		meta:         db.Collection(named(metaName, n)),
	}, nil
}

// named is the name of a collection of a generation.
func named(collection string, n uint64) string {
	return collection + "_g" + strconv.FormatUint(n, 10)
}

// indexes are what the lists of a workspace run along, forwards or backwards.
// The fields after _id let a filter be decided, and a total be counted, without
// reading documents.
func indexes() []mongo.IndexModel {
	var all []mongo.IndexModel
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		all = append(all, mongo.IndexModel{
			Keys: bson.D{
				{Key: "workspace", Value: 1},
				{Key: "deleted", Value: 1},
				{Key: string(by), Value: 1},
				{Key: "_id", Value: 1},
				{Key: "enabled", Value: 1},
				{Key: "protocol", Value: 1},
				{Key: "search", Value: 1},
			},
			Options: options.Index().SetName("by_" + string(by)),
		})
	}
	return all
}

// Index implements projections.Store. The indexes are there already: making them
// on a large collection could take longer than one operation may. What it stores
// is a position, which says that the generation was filled to its end.
func (s *Store) Index(ctx context.Context) error {
	return away(ctx, s.reach(ctx, projections.Positions{}))
}

// ensureIndexes makes those that are missing.
func (s *Store) ensureIndexes(ctx context.Context) error {
	for _, index := range indexes() { // one at a time: FerretDB falls over a list of which some are there
		if _, err := s.integrations.Indexes().CreateOne(ctx, index); err != nil {
			return away(ctx, err)
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

func disconnect(client *mongo.Client) error {
	err := client.Disconnect(context.Background())
	if errors.Is(err, mongo.ErrClientDisconnected) {
		return nil
	}
	return err
}

// away returns a failure of the database as callers know it. A caller that
// stopped waiting gets its own reason back.
func away(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	return projections.Unavailable(err)
}
