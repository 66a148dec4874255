package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// statements prepares each statement once. There are few: constants, and those that list builds
// from a fixed set of parts.
type statements struct {
	db       *sql.DB
	prepared sync.Map // of *sql.Stmt by text
}

// get must not be called while a transaction holds the last free connection.
func (s *statements) get(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := s.prepared.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if first, raced := s.prepared.LoadOrStore(text, stmt); raced {
		stmt.Close()
		return first.(*sql.Stmt), nil
	}
	return stmt, nil
}

func (s *statements) close() {
	s.prepared.Range(func(_, stmt any) bool {
		stmt.(*sql.Stmt).Close()
		return true
	})
}
