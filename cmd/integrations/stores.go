package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/internal/kms"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/recovery"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/mongo"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/vault"
)

// storeFlags locate the stores.
type storeFlags struct {
	Data            string   `help:"Folder for keys and, by default, for the log and the read model." default:"./data" type:"path"`
	NATSURL         string   `name:"nats-url" help:"URLs of a NATS server or cluster to use instead of the embedded server." schemes:"nats,tls,ws,wss" example:"nats://127.0.0.1:4222"`
	NATSCreds       string   `name:"nats-creds" help:"Credentials file for NATS." type:"path"`
	NATSMonitorURL  []string `name:"nats-monitor-url" help:"Monitoring URL of each NATS server, to verify that it syncs to disk before it acknowledges." schemes:"http,https" example:"http://127.0.0.1:8222"`
	AllowLazySync   bool     `help:"Accept a NATS server that may lose acknowledged events in a power failure."`
	Replicas        int      `help:"Replicas of each stream in a NATS cluster: 1 to 5." default:"1" type:"replicas"`
	MongoDBURI      string   `name:"mongodb-uri" help:"URI of a MongoDB for the read model, instead of SQLite." schemes:"mongodb,mongodb+srv" example:"mongodb://127.0.0.1:27017"`
	MongoDBDatabase string   `name:"mongodb-database" help:"Name of the MongoDB database." default:"integrations"`
	RootKeyset      string   `help:"Root keyset as Tink JSON; default: the file root.keyset in the data folder." secret:""`
	RootKeyURI      string   `name:"root-key-uri" help:"Key that encrypts the root keyset: aws-kms://ARN of a key in AWS KMS, gcp-kms://NAME of a key in Google Cloud KMS, or hcvault://HOST:PORT/transit/keys/NAME of the transit engine of OpenBao or HashiCorp Vault. Default: the keyset is in clear text."`
}

func (f storeFlags) folder() datafolder.Folder { return datafolder.Folder(f.Data) }

func (f storeFlags) path(name string) string { return f.folder().Path(name) }

// rootKeys returns where the root keyset is, and what encrypts it.
func (f storeFlags) rootKeys() (vault.RootKeys, error) {
	keys := vault.RootKeys{File: f.path(datafolder.Keyset), Keyset: f.RootKeyset}
	if f.RootKeyURI == "" {
		return keys, nil
	}
	master, err := kms.Open(f.RootKeyURI, os.Getenv, clock)
	if err != nil {
		return keys, fmt.Errorf("--root-key-uri: %w", err)
	}
	keys.Master = master
	return keys, nil
}

// kmsHostPort returns the address of what keeps the key of --root-key-uri, if that is a service of
// the operator.
func (f storeFlags) kmsHostPort() []string {
	keys, err := f.rootKeys()
	if k, ok := keys.Master.(kms.Key); err == nil && ok && k.HostPort() != "" {
		return []string{k.HostPort()}
	}
	return nil
}

// checkKeyset returns an error when there is no root keyset, so that a tool creates none.
func (f storeFlags) checkKeyset() error {
	if f.RootKeyset == "" && !f.folder().HasKeyset() {
		return errors.New("there is no root.keyset in the data folder and --root-keyset is not given")
	}
	return nil
}

func (f storeFlags) nats() natsconn.Config {
	return natsconn.Config{Data: f.folder(), URL: f.NATSURL, Creds: f.NATSCreds, MonitorURLs: f.NATSMonitorURL}
}

// connect connects to NATS for a process that may create the log.
func (f storeFlags) connect(log *slog.Logger) (*natsconn.Conn, error) {
	return natsconn.Connect(f.nats(), log)
}

// attach connects to NATS for a tool, also beside a running service.
func (f storeFlags) attach(log *slog.Logger) (conn *natsconn.Conn, running bool, err error) {
	return natsconn.Attach(f.nats(), log)
}

// attachLog is attach for a tool that reads the log. It writes no events, so it
// accepts a server that does not sync.
func (f storeFlags) attachLog(s console) (conn *natsconn.Conn, events *eventstore.Store, running bool, err error) {
	if conn, running, err = f.attach(s.log); err != nil {
		return nil, nil, false, err
	}
	if events, err = eventstore.Open(s.ctx, conn.NATS, eventstore.Config{Replicas: f.Replicas, AllowLazySync: true}); err != nil {
		conn.Close()
		return nil, nil, false, err
	}
	return conn, events, running, nil
}

// openVault opens the vault, unless its secrets are lost. What is stored of persons is sealed and
// opened with it from then on.
func (f storeFlags) openVault(ctx context.Context, conn *natsconn.Conn, events *eventstore.Store) (*vault.Vault, error) {
	keys, err := f.rootKeys()
	if err != nil {
		return nil, err
	}
	v, err := recovery.OpenVault(ctx, conn.NATS, events, keys, f.Replicas)
	if errors.Is(err, vault.ErrClearText) {
		err = fmt.Errorf("%w, and --root-key-uri names a key that encrypts it: run `integrations keys encrypt-root`", err)
	}
	if err != nil {
		return nil, err
	}
	known, err := persons.New(v)
	if err != nil {
		return nil, err
	}
	events.SealPersons(known)
	return v, nil
}

// openNames has events read with the names of persons, if the root keyset is there.
func (f storeFlags) openNames(ctx context.Context, conn *natsconn.Conn, events *eventstore.Store) error {
	if f.checkKeyset() != nil {
		return nil
	}
	_, err := f.openVault(ctx, conn, events)
	return err
}

// openGenerations opens the read models.
func (f storeFlags) openGenerations(ctx context.Context, log *slog.Logger) (projections.Generations, error) {
	if f.MongoDBURI != "" {
		return mongo.Open(ctx, f.MongoDBURI, f.MongoDBDatabase)
	}
	return &sqlite.Generations{Folder: f.Data, Log: log}, nil
}

// guard returns the guard of the log, after its first check.
func (f storeFlags) guard(ctx context.Context, events *eventstore.Store, log *slog.Logger) (*eventstore.Guard, error) {
	mark, err := f.folder().ReadMark()
	if err != nil {
		return nil, err
	}
	g := &eventstore.Guard{Store: events, Saved: mark, Save: f.folder().SaveMark, Log: log}
	if _, err := g.Check(ctx); err != nil {
		return nil, fmt.Errorf("check the event log: %w", err)
	}
	return g, nil
}
