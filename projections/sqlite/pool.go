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

// pool is a pool of connections for what callers wait for. It uses SQLite without database/sql,
// which takes longer than a read or a small write itself. A connection is opened when it is first
// needed, and prepares each statement once.
type pool struct {
	file   string
	free   chan *connection // nil: not open yet
	closed chan struct{}
	once   sync.Once
}

type connection struct {
	*sqlite3.Conn

	prepared map[string]*sqlite3.Stmt
}

// errClosed means that the store was closed.
var errClosed = errors.New("the read model is closed")

func newPool(file string, most int) *pool {
	p := &pool{file: file, free: make(chan *connection, most), closed: make(chan struct{})}
	for range most {
		p.free <- nil
	}
	return p
}

// use calls do with a connection that nobody else uses. It is interrupted when ctx ends.
func (p *pool) use(ctx context.Context, do func(*connection) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var one *connection
	select {
	case one = <-p.free:
	case <-p.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.free <- one.settled() }()
	if one == nil {
		c, err := sqlite3.OpenContext(ctx, p.file)
		if err != nil {
			return err
		}
		one = &connection{Conn: c, prepared: map[string]*sqlite3.Stmt{}}
	}
	one.SetInterrupt(ctx)
	if err = do(one); errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// settled returns the connection for its next use, without an interrupt and a transaction: a BEGIN
// that is interrupted can leave one, which nobody else ends. It returns nil, so that another is
// opened, if that fails.
func (c *connection) settled() *connection {
	if c == nil {
		return nil
	}
	c.SetInterrupt(context.Background())
	if c.GetAutocommit() || c.run(`ROLLBACK`) == nil {
		return c
	}
	_ = c.close()
	return nil
}

// close closes the connection and its statements.
func (c *connection) close() (err error) {
	for _, stmt := range c.prepared {
		err = errors.Join(err, stmt.Close())
	}
	return errors.Join(err, c.Close())
}

// close closes the connections, once each is free.
func (p *pool) close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		for range cap(p.free) {
			if one := <-p.free; one != nil {
				err = errors.Join(err, one.close())
			}
		}
	})
	return err
}

// atOnce calls do in a transaction, so that all it reads is of one moment.
func (c *connection) atOnce(do func() error) error {
	if err := c.run(`BEGIN`); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, c.end())
}

// end ends a transaction that has read only, even when the context of the read has ended.
func (c *connection) end() error {
	c.SetInterrupt(context.Background())
	return c.run(`COMMIT`)
}

// change calls do in a transaction that writes, and commits it if do succeeds.
func (c *connection) change(do func() error) (err error) {
	if err := c.run(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer func() {
		if err != nil && !c.GetAutocommit() {
			c.SetInterrupt(context.Background())
			err = errors.Join(err, c.run(`ROLLBACK`))
		}
	}()
	if err := do(); err != nil {
		return err
	}
	return c.run(`COMMIT`)
}

// run runs a statement that returns no rows.
func (c *connection) run(text string, arguments ...any) error { return c.each(text, arguments, nil) }

// each calls row for each row of a query, with the statement as the row. Texts must be few.
func (c *connection) each(text string, arguments []any, row func(*sqlite3.Stmt) error) (err error) {
	stmt := c.prepared[text]
	if stmt == nil {
		if stmt, _, err = c.Prepare(text); err != nil {
			return err
		}
		c.prepared[text] = stmt
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
	case uint64:
		return stmt.BindInt64(at, int64(v))
	case bool:
		return stmt.BindBool(at, v)
	case []byte:
		return stmt.BindBlob(at, v)
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
