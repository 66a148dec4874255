package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// withProbe joins the last probe of the present incarnation.
const withProbe = ` LEFT JOIN probes p ON p.workspace = i.workspace AND p.id = i.id AND p.incarnation = i.incarnation `

// one is the condition for one integration.
const one = `WHERE i.workspace = ? AND i.id = ? AND i.deleted = 0`

// Get implements projections.Store.
func (s *Store) Get(ctx context.Context, w domain.Workspace, id domain.ID) (projections.Integration, error) {
	var r row
	if err := s.one(ctx, `SELECT i.document, p.seen FROM integrations i`+withProbe+one, w, id, func(found *sqlite3.Stmt) { r = rowOf(found) }); err != nil {
		return projections.Integration{}, err
	}
	return s.integration(ctx, r)
}

// Answer implements projections.Store.
func (s *Store) Answer(ctx context.Context, w domain.Workspace, id domain.ID) (a projections.Answer, err error) {
	err = s.one(ctx, `SELECT i.version, i.answer, p.answer FROM integrations i`+withProbe+one, w, id, func(found *sqlite3.Stmt) {
		a = projections.Answer{Version: uint64(found.ColumnInt64(0)), Body: joined(found, 1, 2)}
	})
	return a, err
}

// one reads an integration with a query.
func (s *Store) one(ctx context.Context, text string, w domain.Workspace, id domain.ID, read func(*sqlite3.Stmt)) error {
	known := false
	err := s.readers.use(ctx, func(r *connection) error {
		return r.each(text, []any{string(w), string(id)}, func(found *sqlite3.Stmt) error {
			known = true
			read(found)
			return nil
		})
	})
	if err == nil && !known {
		return domain.NoSuchIntegration()
	}
	return s.unavailable(ctx, err)
}

// List implements projections.Store. Page and total are from the same transaction.
func (s *Store) List(ctx context.Context, w domain.Workspace, q projections.Query) (projections.Page, error) {
	rows, counted, err := page(ctx, s, newListing(w, q, `i.document, p.seen`), q, rowOf)
	if err != nil {
		return projections.Page{}, err
	}
	items := make([]projections.Integration, len(rows))
	for n, r := range rows {
		if items[n], err = s.integration(ctx, r); err != nil {
			return projections.Page{}, err
		}
	}
	return projections.NewPage(q, items, counted), nil
}

// Answers implements projections.Store. Page and total are from the same transaction.
func (s *Store) Answers(ctx context.Context, w domain.Workspace, q projections.Query) (projections.AnswerPage, error) {
	by, _ := q.Sort.Order()
	memory, _ := s.pages.Get().(*[]byte)
	if memory == nil {
		memory = new([]byte)
	}
	items, counted, err := page(ctx, s, newListing(w, q, `i.`+string(by)+`, i.id, i.answer, p.answer`), q, func(found *sqlite3.Stmt) projections.Answer {
		a := projections.Answer{Key: projections.Key{ID: domain.ID(found.ColumnText(1))}, Body: joinedIn(memory, found, 2, 3)}
		if by == projections.Name {
			a.Key.Name = found.ColumnText(0)
		} else {
			a.Key.At = found.ColumnInt64(0)
		}
		return a
	})
	if err != nil {
		return projections.AnswerPage{}, err
	}
	answers := projections.NewPage(q, items, counted)
	answers.Release = func() { s.release(memory) }
	return answers, nil
}

// maxReleased is how much memory of a page is used again. Most pages take a third of it.
const maxReleased = 512 << 10

// release lets another page use the memory of one. Otherwise the pages of lists would be most of
// the garbage of a service.
func (s *Store) release(memory *[]byte) {
	if cap(*memory) <= maxReleased {
		*memory = (*memory)[:0]
		s.pages.Put(memory)
	}
}

// page returns the rows of a page, with one more than its limit if there are more, and the total.
func page[Row any](ctx context.Context, s *Store, l listing, q projections.Query, read func(*sqlite3.Stmt) Row) (rows []Row, counted projections.Counted, err error) {
	err = s.readers.use(ctx, func(r *connection) error {
		return r.atOnce(func() error {
			rows = make([]Row, 0, min(q.Limit, 256)+1)
			if err := r.each(l.page, l.arguments, func(found *sqlite3.Stmt) error {
				rows = append(rows, read(found))
				return nil
			}); err != nil {
				return err
			}
			total := len(rows)
			switch {
			case q.NoTotal:
				total = 0
			case q.After != nil || len(rows) > q.Limit:
				if err := r.each(l.count, l.filter, func(found *sqlite3.Stmt) error {
					total = int(found.ColumnInt64(0))
					return nil
				}); err != nil {
					return err
				}
			}
			counted = q.Counted(total)
			return nil
		})
	})
	return rows, counted, s.unavailable(ctx, err)
}

func rowOf(found *sqlite3.Stmt) row {
	return row{document: found.ColumnBlob(0, nil), seen: found.ColumnBlob(1, nil)}
}

// row has the selected columns of an integration.
type row struct {
	document []byte
	seen     []byte // nil: not probed
}

// integration decodes a row. One that can't be decoded is damaged, because this program wrote
// it.
func (s *Store) integration(ctx context.Context, r row) (projections.Integration, error) {
	document, err := projections.Decode(r.document)
	if err != nil {
		s.markDamaged(ctx, err)
		return projections.Integration{}, projections.Unavailable(err)
	}
	i := projections.Integration{Integration: document}
	if r.seen == nil {
		return i, nil
	}
	last, err := projections.DecodeProbe(r.seen)
	i.LastProbe = &last
	return i, err
}

// listing is a query in SQL. Its text contains no values, so there are few different ones.
type listing struct {
	page      string
	arguments []any
	count     string
	filter    []any // the arguments of count
}

// newListing returns the query for a page of some columns. A filter that is unset is not in the
// text; without a search, that of the count is about the table counts.
func newListing(w domain.Workspace, q projections.Query, columns string) listing {
	column, ascending := q.Sort.Order()
	where, args := `WHERE i.workspace = ?`, []any{string(w)}
	if q.Enabled != nil {
		where, args = where+` AND i.enabled = ?`, append(args, *q.Enabled)
	}
	if q.Protocol != "" {
		where, args = where+` AND i.protocol = ?`, append(args, string(q.Protocol))
	}
	from := ` FROM integrations i INDEXED BY integrations_by_` + string(column)
	l := listing{count: `SELECT coalesce(sum(i.number), 0) FROM counts i ` + where, filter: args[:len(args):len(args)]}
	where += ` AND i.deleted = 0`
	if q.Search != "" {
		where, args = where+` AND instr(i.search, ?) > 0`, append(args, q.Needle())
		l.count, l.filter = `SELECT count(*) FROM (SELECT 1`+from+` `+where+` LIMIT ?)`, append(args[:len(args):len(args)], limit(q.AtMost()))
	}
	after, order := ` > (?, ?)`, ``
	if !ascending {
		after, order = ` < (?, ?)`, ` DESC`
	}
	if q.After != nil {
		where, args = where+` AND (i.`+string(column)+`, i.id)`+after, append(args, q.Sort.Value(*q.After), string(q.After.ID))
	}
	l.page = `SELECT ` + columns + from + withProbe + where +
		` ORDER BY i.` + string(column) + order + `, i.id` + order + ` LIMIT ?`
	l.arguments = append(args, q.Limit+1)
	return l
}

// limit returns the argument of LIMIT for at most n rows; 0: all.
func limit(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// Probed implements projections.Store.
func (s *Store) Probed(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]projections.LastProbe, error) {
	args := []any{string(w)}
	for _, id := range ids {
		args = append(args, string(id))
	}
	stmt, err := s.read.get(ctx, `SELECT id, seen FROM probes WHERE workspace = ? AND id IN (NULL`+strings.Repeat(`, ?`, len(ids))+`)`)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	defer rows.Close()
	probes := map[domain.ID]projections.LastProbe{}
	for rows.Next() {
		var id string
		var seen []byte
		if err := rows.Scan(&id, &seen); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		if probes[domain.ID(id)], err = projections.DecodeProbe(seen); err != nil {
			return nil, err
		}
	}
	return probes, s.unavailable(ctx, rows.Err())
}

// Positions implements projections.Store.
func (s *Store) Positions(ctx context.Context) (projections.Positions, error) {
	if s.damaged.Load() {
		return projections.Positions{}, projections.Unavailable(fmt.Errorf("%w: %s", projections.ErrUnusable, damage))
	}
	if err := s.checkFile(); err != nil {
		return projections.Positions{}, s.unavailable(ctx, err)
	}
	var at projections.Positions
	err := s.readers.use(ctx, func(r *connection) error {
		return r.each(getPositions, nil, func(found *sqlite3.Stmt) error {
			at = positionsOf(found)
			return nil
		})
	})
	return at, s.unavailable(ctx, err)
}

// positionsOf returns the row of getPositions.
func positionsOf(found *sqlite3.Stmt) projections.Positions {
	return projections.Positions{
		Integrations: uint64(found.ColumnInt64(0)), Probes: uint64(found.ColumnInt64(1)), Approvals: uint64(found.ColumnInt64(2)),
	}
}

// Parked implements projections.Store. An integration with a later document is no longer
// parked.
func (s *Store) Parked(ctx context.Context) ([]projections.Parked, error) {
	rows, err := s.reader.QueryContext(ctx, `
		SELECT k.workspace, k.id, k.position, k.reason, k.at FROM parked k
		LEFT JOIN integrations i ON i.workspace = k.workspace AND i.id = k.id
		WHERE i.position IS NULL OR i.position < k.position ORDER BY k.position`)
	if err != nil {
		return nil, s.unavailable(ctx, err)
	}
	defer rows.Close()
	var all []projections.Parked
	for rows.Next() {
		var p projections.Parked
		var position, at int64
		if err := rows.Scan(&p.Workspace, &p.ID, &position, &p.Reason, &at); err != nil {
			return nil, s.unavailable(ctx, err)
		}
		p.Position, p.At = uint64(position), projections.FromMicros(at)
		all = append(all, p)
	}
	return all, s.unavailable(ctx, rows.Err())
}
