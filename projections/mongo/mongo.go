// Package mongo keeps read models in MongoDB, where several instances of the
// service share them. It promises what projections.Store does, with nothing but
// single-document writes: each is guarded by its position, so projectors that
// run at the same time do no harm.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/seed677028b5/integrations/projections"
)

// The generation of the schema is part of every collection's name: another
// version of the service builds its own beside this one's.
const (
	integrationsName = "integrations_v1"
	probesName       = "probes_v1"
	parkedName       = "parked_v1"
	metaName         = "meta_v1"
)

// positionsID is the _id of the one document of the meta collection.
const positionsID = "positions"

// Store keeps read models in the collections of one database.
type Store struct {
	client       *mongo.Client
	integrations *mongo.Collection
	probes       *mongo.Collection
	parked       *mongo.Collection
	meta         *mongo.Collection
}

// operationTimeout bounds one operation on a server that has gone silent.
const operationTimeout = 5 * time.Second

// Open connects to the server at uri and makes the indexes that are missing
// from the database. Writes are acknowledged by a majority and reads go to the
// primary, whatever uri says.
func Open(ctx context.Context, uri, database string) (*Store, error) {
	settings := options.Client().ApplyURI(uri).
		SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary()).SetAppName("integrations")
	if settings.Timeout == nil { // the URI says nothing of timeoutMS
		settings.SetTimeout(operationTimeout)
	}
	client, err := mongo.Connect(settings)
	if err != nil {
		return nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	db := client.Database(database)
	s := &Store{
		client:       client,
		integrations: db.Collection(integrationsName),
		probes:       db.Collection(probesName),
		parked:       db.Collection(parkedName),
		meta:         db.Collection(metaName),
	}
	for _, index := range indexes() { // one at a time: FerretDB falls over a list of which some are there
		if _, err := s.integrations.Indexes().CreateOne(ctx, index); err != nil {
			return nil, errors.Join(away(ctx, err), s.Close())
		}
	}
	return s, nil
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

// Reset implements projections.Store. The positions go first: when it is
// interrupted, the next projector begins from zero all the same.
func (s *Store) Reset(ctx context.Context) error {
	for _, c := range []*mongo.Collection{s.meta, s.integrations, s.probes, s.parked} {
		if _, err := c.DeleteMany(ctx, bson.D{}); err != nil {
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
func (s *Store) Close() error {
	err := s.client.Disconnect(context.Background())
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
