// Package mongo stores read models in MongoDB, where several instances of the service share
// them. It implements projections.Store with single-document writes only: each is guarded by
// its position, so concurrent projectors are harmless.
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
	"github.com/seed677028b5/integrations/representation"
)

// The version of the schema, and of the answers in it, is part of every collection's name: another
// version of the service builds its own collections beside these. The number of the generation
// follows.
const (
	schema             = "_v5_" + representation.Version
	integrationsName   = "integrations" + schema
	probesName         = "probes" + schema
	parkedName         = "parked" + schema
	authorizationsName = "authorizations" + schema
	approvalsName      = "approvals" + schema
)

// positionsID is the _id of the document with the positions. It is in the collection of the
// integrations, so that restoring or dropping them includes it. No integration has that id, and
// none its workspace.
const positionsID = "~positions"

// Store stores a generation of read models in collections of one database.
type Store struct {
	client         *mongo.Client
	faults         *faults
	integrations   *mongo.Collection
	probes         *mongo.Collection
	approvals      *mongo.Collection
	parked         *mongo.Collection
	authorizations *mongo.Collection
	identity       string

	totals *totals

	mu       sync.Mutex
	furthest projections.Positions // the furthest seen
}

// operationTimeout bounds one operation on a server that doesn't respond.
const operationTimeout = 5 * time.Second

// settingsOf returns the options to connect to the server at uri. Writes are acknowledged by a
// majority and reads go to the primary, whatever uri specifies.
func settingsOf(uri string) *options.ClientOptions {
	settings := options.Client().ApplyURI(uri).
		SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary()).SetAppName("integrations")
	if settings.Timeout == nil { // the URI has no timeoutMS
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

// open returns the store of a generation, with its own client.
func open(settings *options.ClientOptions, database string, n uint64) (*Store, error) {
	client, seen, err := connect(settings)
	if err != nil {
		return nil, err
	}
	db := client.Database(database)
	s := &Store{
		client:         client,
		faults:         seen,
		integrations:   db.Collection(named(integrationsName, n)),
		probes:         db.Collection(named(probesName, n)),
		parked:         db.Collection(named(parkedName, n)),
		authorizations: db.Collection(named(authorizationsName, n)),
		approvals:      db.Collection(named(approvalsName, n)),
	}
	s.totals = &totals{integrations: s.integrations, position: func(ctx context.Context) (int64, error) {
		at, err := s.read(ctx)
		return at.Integrations, err
	}}
	return s, nil
}

// Identity implements projections.Store.
func (s *Store) Identity() string { return s.identity }

// named returns the name of a collection of a generation.
func named(collection string, n uint64) string {
	return collection + "_g" + strconv.FormatUint(n, 10)
}

// indexes returns the indexes for the lists of a workspace, forwards or backwards: one for each
// order, and one with the filter fields first, so that a rare filter is fast. With the fields
// after _id, filters and totals don't read documents.
func indexes() []mongo.IndexModel {
	var all []mongo.IndexModel
	keys := func(fields ...string) (keys bson.D) {
		for _, field := range fields {
			keys = append(keys, bson.E{Key: field, Value: 1})
		}
		return keys
	}
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		var also []string
		if by == projections.Name {
			also = []string{"every"} // for the schedule of health checks
		}
		all = append(all,
			mongo.IndexModel{
				Keys:    keys(append([]string{"workspace", "deleted", string(by), "_id", "enabled", "protocol", "search"}, also...)...),
				Options: options.Index().SetName("by_" + string(by)),
			},
			mongo.IndexModel{
				Keys:    keys("workspace", "deleted", "enabled", "protocol", string(by), "_id", "search"),
				Options: options.Index().SetName("filtered_by_" + string(by)),
			})
	}
	return append(all, mongo.IndexModel{Keys: keys("workspace", "position"), Options: options.Index().SetName("by_position")})
}

// Index implements projections.Store. The indexes exist already, because creating them on a
// large collection could exceed the timeout. It counts what was written, and records that the
// generation is complete.
func (s *Store) Index(ctx context.Context) error {
	if s.totals.filling {
		if err := s.totals.countAll(ctx); err != nil {
			return s.unavailable(ctx, err)
		}
		s.totals.filling = false
	}
	result, err := s.integrations.UpdateOne(ctx, s.own(), bson.D{{Key: "$set", Value: bson.D{{Key: "whole", Value: true}}}})
	if err == nil && result.MatchedCount == 0 {
		err = projections.ErrReplaced
	}
	return s.unavailable(ctx, err)
}

// ensureIndexes creates missing indexes.
func (s *Store) ensureIndexes(ctx context.Context) error {
	for _, index := range indexes() { // one at a time: FerretDB fails on a list with existing indexes
		if _, err := s.integrations.Indexes().CreateOne(ctx, index); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	for _, index := range authorizationIndexes() {
		if _, err := s.authorizations.Indexes().CreateOne(ctx, index); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	for _, index := range approvalIndexes() {
		if _, err := s.approvals.Indexes().CreateOne(ctx, index); err != nil {
			return s.unavailable(ctx, err)
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

// disconnectWithin bounds how long an unresponsive server may delay closing.
const disconnectWithin = time.Second

func disconnect(client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), disconnectWithin)
	defer cancel()
	err := client.Disconnect(ctx)
	if errors.Is(err, mongo.ErrClientDisconnected) || errors.Is(err, context.DeadlineExceeded) { // the server ends the session by itself
		return nil
	}
	return err
}
