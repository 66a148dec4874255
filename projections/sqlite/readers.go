package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/projections"
)

// readers is a pool of connections for the reads that callers wait for. It uses SQLite without
// database/sql, which takes longer than such a read itself. A connection is opened when it is
// first needed, and prepares each statement once.
type readers struct {
	file   string
	free   chan *reader // nil: not open yet
	closed chan struct{}
	once   sync.Once
}

type reader struct {
	*sqlite3.Conn

	prepared map[string]*sqlite3.Stmt
}

// errClosed means that the store was closed.
var errClosed = errors.New("the read model is closed")

func newReaders(file string, most int) *readers {
	r := &readers{file: file, free: make(chan *reader, most), closed: make(chan struct{})}
	for range most {
		r.free <- nil
	}
	return r
}

// read calls do with a connection that nobody else uses. It is interrupted when ctx ends.
func (r *readers) read(ctx context.Context, do func(*reader) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var one *reader
	select {
	case one = <-r.free:
	case <-r.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { r.free <- one }()
	if one == nil {
		c, err := sqlite3.OpenContext(ctx, r.file)
		if err != nil {
			return err
		}
		one = &reader{Conn: c, prepared: map[string]*sqlite3.Stmt{}}
	}
	one.SetInterrupt(ctx)
	defer one.SetInterrupt(context.Background())
	if err = do(one); errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// close closes the connections, once each is free.
func (r *readers) close() (err error) {
	r.once.Do(func() {
		close(r.closed)
		for range cap(r.free) {
			if one := <-r.free; one != nil {
				for _, stmt := range one.prepared {
					err = errors.Join(err, stmt.Close())
				}
				err = errors.Join(err, one.Close())
			}
		}
	})
	return err
}

// atOnce calls do in a transaction, so that all it reads is of one moment.
func (r *reader) atOnce(do func() error) error {
	if err := r.each(`BEGIN`, nil, nil); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, r.end())
}

// end ends a transaction that has read only, even when the context of the read has ended.
func (r *reader) end() error {
	r.SetInterrupt(context.Background())
	return r.each(`COMMIT`, nil, nil)
}

// each calls row for each row of a query, with the statement as the row. Texts must be few.
func (r *reader) each(text string, arguments []any, row func(*sqlite3.Stmt) error) (err error) {
	stmt := r.prepared[text]
	if stmt == nil {
		if stmt, _, err = r.Prepare(text); err != nil {
			return err
		}
		r.prepared[text] = stmt
	}
	defer func() { err = errors.Join(err, stmt.Reset()) }()
	for n, value := range arguments {
		if err := bind(stmt, n+1, value); err != nil {
			return err
		}
	}
	for stmt.Step() {
		if err := row(stmt); err != nil {
			return err
		}
	}
	return stmt.Err()
}

func bind(stmt *sqlite3.Stmt, at int, value any) error {
	switch v := value.(type) {
	case string:
		return stmt.BindText(at, v)
	case int:
		return stmt.BindInt64(at, int64(v))
	case int64:
		return stmt.BindInt64(at, v)
	case bool:
		return stmt.BindBool(at, v)
	}
	return fmt.Errorf("no argument of a query has the type %T", value)
}

// joinedIn is joined in memory that a page has for all of its answers.
func joinedIn(memory *[]byte, stmt *sqlite3.Stmt, integration, probe int) []byte {
	begin := len(*memory)
	*memory = projections.NewAnswer(append(*memory, stmt.ColumnRawBlob(integration)...), stmt.ColumnRawBlob(probe))
	return slices.Clip((*memory)[begin:])
}

// joined returns the answer whose parts are in two columns.
func joined(stmt *sqlite3.Stmt, integration, probe int) []byte {
	const end = 256 // enough for most probes, and for what the transport adds
	body := stmt.ColumnRawBlob(integration)
	body = append(make([]byte, 0, len(body)+end), body...)
	return projections.NewAnswer(body, stmt.ColumnRawBlob(probe))
}
