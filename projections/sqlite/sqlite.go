// Package sqlite stores read models in SQLite files. It implements projections.Store and
// projections.Generations. A file that it can't use, because it is damaged or of another
// version, is reported as unusable, so that another is built. Damage that is only detected in
// use makes Ping fail, and the file unusable from then on.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

// version is the version of the schema, and of the answers in it. A file of another version is
// unusable.
const version = "402" + representation.Version

const schema = `
CREATE TABLE integrations (
	workspace   TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	position    INTEGER NOT NULL,
	incarnation INTEGER NOT NULL,
	deleted     INTEGER NOT NULL,
	enabled     INTEGER NOT NULL,
	protocol    TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	created_at  INTEGER NOT NULL,
	updated_at  INTEGER NOT NULL,
	version     INTEGER NOT NULL,
	every       INTEGER NOT NULL,
	search      TEXT    NOT NULL,
	answer      BLOB    NOT NULL,
	document    BLOB    NOT NULL
);
CREATE UNIQUE INDEX integrations_by_id ON integrations (workspace, id);
CREATE TABLE probes (
	workspace   TEXT    NOT NULL,
	id          TEXT    NOT NULL,
	incarnation INTEGER NOT NULL,
	position    INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	answer      BLOB    NOT NULL,
	seen        BLOB    NOT NULL,
	PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE TABLE counts (
	workspace TEXT    NOT NULL,
	enabled   INTEGER NOT NULL,
	protocol  TEXT    NOT NULL,
	number    INTEGER NOT NULL,
	PRIMARY KEY (workspace, enabled, protocol)
) WITHOUT ROWID;
CREATE TABLE approvals (
	workspace    TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	integration  TEXT    NOT NULL,
	position     INTEGER NOT NULL,
	state        TEXT    NOT NULL,
	asker        TEXT    NOT NULL,
	requested_at INTEGER NOT NULL,
	document     BLOB    NOT NULL,
	PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE TABLE parked (
	workspace TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	position  INTEGER NOT NULL,
	reason    TEXT    NOT NULL,
	at        INTEGER NOT NULL,
	PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
` + authorizationTable + `
CREATE TABLE positions (integrations INTEGER NOT NULL, probes INTEGER NOT NULL, approvals INTEGER NOT NULL, store TEXT NOT NULL);
INSERT INTO positions VALUES (0, 0, 0, lower(hex(randomblob(16))));
`

// The lists of a workspace use one of the first three indexes, forwards or backwards. With the columns
// after id, filters and searches don't read documents, nor does the schedule of health checks.
const indexes = `
CREATE INDEX IF NOT EXISTS integrations_by_name ON integrations (workspace, name, id, enabled, every, protocol, search) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS integrations_by_created_at ON integrations (workspace, created_at, id, enabled, protocol, search) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS integrations_by_updated_at ON integrations (workspace, updated_at, id, enabled, protocol, search) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS approvals_by_requested_at ON approvals (workspace, requested_at, id);
CREATE INDEX IF NOT EXISTS approvals_by_state ON approvals (workspace, state, requested_at, id);
` + authorizationIndexes

// objects is the total number of tables and indexes; a WITHOUT ROWID table counts as one. A file with
// fewer is incomplete.
const objects = 18

// Store stores read models in a file. It has one connection for writing and a pool for reading,
// and another pool for the reads that callers wait for most.
type Store struct {
	writer  *pool // of one connection
	reader  *sql.DB
	read    *statements
	readers *pool
	counted bool // Apply counts; only changes while the writer is in use

	path     string
	file     os.FileInfo // of path, when it was opened
	identity string
	log      *slog.Logger
	damaged  atomic.Bool

	pages sync.Pool // of *[]byte: memory of answers
}

// Open opens the file at path, or creates it. The error of an unusable file wraps
// projections.ErrUnusable.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	_, err := os.Stat(path + damagedMark)
	if err == nil {
		return nil, projections.Unavailable(fmt.Errorf("%s: %w: it was found damaged", path, projections.ErrUnusable))
	}
	s, err := open(ctx, path, log, schema+indexes, logged...)
	switch {
	case unusable(err):
		return nil, projections.Unavailable(fmt.Errorf("open %s: %w: %w", path, projections.ErrUnusable, err))
	case err != nil:
		return nil, projections.Unavailable(fmt.Errorf("open %s: %w", path, err))
	}
	return s, nil
}

// damagedMark is the extension of an empty file beside one that was found damaged.
const damagedMark = ".damaged"

// damage is the message for a file that can't be trusted.
const damage = "the read model is damaged; another is built from the log"

// markDamaged makes sure that the file is not opened again. Checking for damage at every start
// instead would read the whole file each time.
func (s *Store) markDamaged(ctx context.Context, found error) {
	if !s.damaged.CompareAndSwap(false, true) {
		return
	}
	err := os.WriteFile(s.path+damagedMark, nil, 0o600)
	s.log.ErrorContext(ctx, damage, slog.String("path", s.path), slog.Any("found", found), slog.Any("mark", err))
}

// errVersion means that a file was written by another version, or is incomplete.
var errVersion = errors.New("the file is of another version or incomplete")

// errSwapped means that the file was replaced or deleted while it was open.
var errSwapped = errors.New("the file is not the one that was opened")

// unusable reports whether no retry with the same file can succeed.
func unusable(err error) bool {
	return errors.Is(err, errVersion) || errors.Is(err, errSwapped) || errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT)
}

func open(ctx context.Context, path string, log *slog.Logger, schema string, writing ...string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	reader, err := connect(path, readOnly)
	if err != nil {
		return nil, err
	}
	most := runtime.GOMAXPROCS(0)
	reader.SetMaxOpenConns(most)
	reader.SetMaxIdleConns(most)
	s := &Store{
		writer: newPool(location(path, writing...), 1), reader: reader, read: &statements{db: reader},
		readers: newPool(location(path, readOnly), most), counted: true, path: path, log: log,
	}
	if err := s.prepare(ctx, schema); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.identify(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// identify reads the identity of the store, and stats its file.
func (s *Store) identify(ctx context.Context) (err error) {
	if s.file, err = os.Stat(s.path); err != nil {
		return err
	}
	return s.reader.QueryRowContext(ctx, `SELECT store FROM positions`).Scan(&s.identity)
}

// Identity implements projections.Store.
func (s *Store) Identity() string { return s.identity }

// checkFile returns nil when the file at the path is the one that was opened. SQLite's files beside
// it go by its name, so another one in its place can't be trusted.
func (s *Store) checkFile() error {
	file, err := os.Stat(s.path)
	if err != nil || !os.SameFile(file, s.file) {
		return fmt.Errorf("%s: %w", s.path, errors.Join(errSwapped, err))
	}
	return nil
}

// prepare creates the schema in an empty file, and checks that any other file is one of ours and
// readable.
func (s *Store) prepare(ctx context.Context, schema string) error {
	return s.writer.use(ctx, func(c *connection) error {
		return c.change(func() error {
			found, tables := "", 0
			if err := c.each(`PRAGMA user_version`, nil, func(row *sqlite3.Stmt) error {
				found = row.ColumnText(0)
				return nil
			}); err != nil {
				return err
			}
			if err := c.each(`SELECT count(*) FROM sqlite_schema`, nil, func(row *sqlite3.Stmt) error {
				tables = row.ColumnInt(0)
				return nil
			}); err != nil {
				return err
			}
			switch {
			case found == version && tables < objects:
				return errVersion
			case found == version:
				for _, table := range []string{"integrations", "probes", "counts", "approvals", "parked", "authorizations", "positions"} {
					if err := c.Exec(`SELECT * FROM ` + table + ` LIMIT 1`); err != nil {
						return fmt.Errorf("read %s: %w", table, err)
					}
				}
				return nil
			case found != "0" || tables != 0:
				return errVersion
			}
			return c.Exec(schema + `PRAGMA user_version = ` + version)
		})
	})
}

// Ping implements projections.Store.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Positions(ctx)
	return err
}

// Close implements projections.Store.
func (s *Store) Close() error {
	s.read.close()
	return errors.Join(s.readers.close(), s.reader.Close(), s.writer.close())
}

// change runs do in one transaction.
func (s *Store) change(ctx context.Context, do func(*connection) error) error {
	return s.unavailable(ctx, s.writer.use(ctx, func(c *connection) error {
		return c.change(func() error { return do(c) })
	}))
}

// unavailable returns a failure of the database as an error for callers. If the caller's context has
// ended, it returns the reason for that.
func (s *Store) unavailable(ctx context.Context, err error) error {
	if unusable(err) {
		s.markDamaged(ctx, err)
		return projections.Unavailable(fmt.Errorf("%w: %w", projections.ErrUnusable, err))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, projections.ErrMoved):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	return projections.Unavailable(err)
}
