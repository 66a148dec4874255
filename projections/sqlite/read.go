package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// withProbe joins the last probe of the present incarnation.
const withProbe = ` LEFT JOIN probes p ON p.workspace = i.workspace AND p.id = i.id AND p.incarnation = i.incarnation `

// Get implements projections.Store.
func (s *Store) Get(ctx context.Context, w domain.Workspace, id domain.ID) (projections.Integration, error) {
	stmt, err := s.read.get(ctx, `SELECT i.document, p.seen FROM integrations i`+withProbe+
		`WHERE i.workspace = ? AND i.id = ? AND i.deleted = 0`)
	if err != nil {
		return projections.Integration{}, s.unavailable(ctx, err)
	}
	var r row
	switch err := stmt.QueryRowContext(ctx, string(w), string(id)).Scan(&r.document, &r.seen); {
	case errors.Is(err, sql.ErrNoRows):
		return projections.Integration{}, domain.NoSuchIntegration()
	case err != nil:
		return projections.Integration{}, s.unavailable(ctx, err)
	}
	return s.integration(ctx, r)
}

// List implements projections.Store. Page and total are from the same transaction.
func (s *Store) List(ctx context.Context, w domain.Workspace, q projections.Query) (projections.Page, error) {
	l := newListing(w, q)
	// Prepared before a transaction holds one of the few connections.
	page, err := s.read.get(ctx, l.page)
	if err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	count, err := s.read.get(ctx, l.count)
	if err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	tx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	defer tx.Rollback() //nolint:errcheck // read only
	rows, err := scan(tx.StmtContext(ctx, page).QueryContext(ctx, l.arguments...))
	if err != nil {
		return projections.Page{}, s.unavailable(ctx, err)
	}
	total := len(rows)
	if q.After != nil || len(rows) > q.Limit {
		if err := tx.StmtContext(ctx, count).QueryRowContext(ctx, l.filter...).Scan(&total); err != nil {
			return projections.Page{}, s.unavailable(ctx, err)
		}
	}
	items := make([]projections.Integration, len(rows))
	for n, r := range rows {
		if items[n], err = s.integration(ctx, r); err != nil {
			return projections.Page{}, err
		}
	}
	return projections.NewPage(q, items, total), nil
}

func scan(found *sql.Rows, err error) ([]row, error) {
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.document, &r.seen); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
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

func newListing(w domain.Workspace, q projections.Query) listing {
	column, ascending := q.Sort.Order()
	where, args := `WHERE i.workspace = ? AND i.deleted = 0`, []any{string(w)}
	if q.Enabled != nil {
		where, args = where+` AND i.enabled = ?`, append(args, *q.Enabled)
	}
	if q.Protocol != "" {
		where, args = where+` AND i.protocol = ?`, append(args, string(q.Protocol))
	}
	if q.Search != "" {
		where, args = where+` AND instr(i.search, ?) > 0`, append(args, q.Needle())
	}
	from := ` FROM integrations i INDEXED BY integrations_by_` + string(column)
	l := listing{count: `SELECT count(*)` + from + ` ` + where, filter: args[:len(args):len(args)]}
	after, order := ` > (?, ?)`, ``
	if !ascending {
		after, order = ` < (?, ?)`, ` DESC`
	}
	if q.After != nil {
		where, args = where+` AND (i.`+string(column)+`, i.id)`+after, append(args, q.Sort.Value(*q.After), string(q.After.ID))
	}
	l.page = `SELECT i.document, p.seen` + from + withProbe + where +
		` ORDER BY i.` + string(column) + order + `, i.id` + order + ` LIMIT ?`
	l.arguments = append(args, q.Limit+1)
	return l
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
	stmt, err := s.read.get(ctx, getPositions)
	if err != nil {
		return projections.Positions{}, s.unavailable(ctx, err)
	}
	var at projections.Positions
	err = stmt.QueryRowContext(ctx).Scan(&at.Integrations, &at.Probes)
	return at, s.unavailable(ctx, err)
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
