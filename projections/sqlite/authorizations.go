package sqlite

import (
	"context"
	"database/sql"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const authorizationTable = `
CREATE TABLE authorizations (
	workspace   TEXT    NOT NULL,
	integration TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	place       TEXT    NOT NULL,
	position    INTEGER NOT NULL,
	listed      INTEGER NOT NULL,
	incarnation INTEGER NOT NULL,
	state       TEXT    NOT NULL,
	subject     TEXT    NOT NULL,
	account     TEXT    NOT NULL,
	issuer      TEXT    NOT NULL,
	client      TEXT    NOT NULL,
	binding     TEXT    NOT NULL,
	created_at  INTEGER NOT NULL,
	document    BLOB    NOT NULL
);
CREATE UNIQUE INDEX authorizations_by_place ON authorizations (workspace, place);
`

// Each filter that finds few has an index, in the order of lists.
const authorizationIndexes = `
CREATE INDEX IF NOT EXISTS authorizations_by_created_at ON authorizations (workspace, created_at, place, state) WHERE listed = 1;
CREATE INDEX IF NOT EXISTS authorizations_by_integration ON authorizations (workspace, integration, created_at, place, state, binding, incarnation, client) WHERE listed = 1;
CREATE INDEX IF NOT EXISTS authorizations_by_subject ON authorizations (workspace, subject, created_at, place) WHERE listed = 1;
CREATE INDEX IF NOT EXISTS authorizations_by_account ON authorizations (workspace, account, created_at, place) WHERE listed = 1;
`

func applyAuthorizations(c *connection, all []projections.Authorization) error {
	for _, a := range all {
		document, err := projections.EncodeAuthorization(a.State)
		if err != nil {
			return err
		}
		place, s := projections.AuthorizationKeyOf(a), a.State
		if err := c.run(putAuthorization, string(a.Workspace), string(a.ID), a.Key, place.Place(), a.Position, a.Listed(), s.Incarnation,
			string(s.State), s.Subject, s.Account, s.Issuer, s.ClientID, s.Binding, place.At, document); err != nil {
			return err
		}
	}
	return nil
}

// Authorizations implements projections.AuthorizationModel. Page and total are from the same
// transaction.
func (s *Store) Authorizations(ctx context.Context, w domain.Workspace, q projections.AuthorizationQuery) (projections.AuthorizationPage, error) {
	where, filter := authorizationFilter(w, q.AuthorizationFilter)
	count, err := s.read.get(ctx, `SELECT count(*) FROM authorizations a `+where)
	if err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	arguments := filter[:len(filter):len(filter)]
	if q.After != nil {
		where, arguments = where+` AND (a.created_at, a.place) < (?, ?)`, append(arguments, q.After.At, q.After.Place())
	}
	page, err := s.read.get(ctx, `SELECT a.integration, a.key, a.position, a.document FROM authorizations a `+where+` ORDER BY a.created_at DESC, a.place DESC LIMIT ?`)
	if err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	tx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	defer tx.Rollback() //nolint:errcheck // read only
	rows, err := s.scanAuthorizations(tx.StmtContext(ctx, page).QueryContext(ctx, append(arguments, q.Limit+1)...))
	if err != nil {
		return projections.AuthorizationPage{}, s.unavailable(ctx, err)
	}
	total := len(rows)
	if q.After != nil || len(rows) > q.Limit {
		if err := tx.StmtContext(ctx, count).QueryRowContext(ctx, filter...).Scan(&total); err != nil {
			return projections.AuthorizationPage{}, s.unavailable(ctx, err)
		}
	}
	for n, r := range rows {
		rows[n].Workspace = w
		if rows[n].State, err = projections.DecodeAuthorization(r.document); err != nil {
			s.markDamaged(ctx, err)
			return projections.AuthorizationPage{}, projections.Unavailable(err)
		}
	}
	items := make([]projections.Authorization, len(rows))
	for n, r := range rows {
		items[n] = r.Authorization
	}
	return projections.NewAuthorizationPage(q, items, total), nil
}

// authorizationRow has the selected columns of an authorization.
type authorizationRow struct {
	projections.Authorization

	document []byte
}

func (*Store) scanAuthorizations(found *sql.Rows, err error) ([]authorizationRow, error) {
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []authorizationRow
	for found.Next() {
		var r authorizationRow
		var position int64
		if err := found.Scan(&r.ID, &r.Key, &position, &r.document); err != nil {
			return nil, err
		}
		r.Position = uint64(position)
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// authorizationFilter returns a condition in SQL. Its text contains no values, so there are
// few different ones.
func authorizationFilter(w domain.Workspace, f projections.AuthorizationFilter) (string, []any) {
	where, args := `WHERE a.workspace = ? AND a.listed = 1`, []any{string(w)}
	and := func(when bool, condition string, values ...any) {
		if when {
			where, args = where+` AND `+condition, append(args, values...)
		}
	}
	and(f.ID != "", `a.integration = ?`, string(f.ID))
	and(f.Incarnation != 0, `a.incarnation = ?`, int64(f.Incarnation))
	and(f.Subject != "", `a.subject = ?`, f.Subject)
	and(f.Account != "", `a.account = ?`, f.Account)
	and(f.Issuer != "", `a.issuer = ?`, f.Issuer)
	and(f.ClientID != "", `a.client = ?`, f.ClientID)
	and(f.NotClientID != "", `a.client <> ? AND a.state <> ?`, f.NotClientID, string(domain.NotAuthorized))
	switch {
	case f.State == "":
	case f.Binding != "" && f.State == domain.IsAuthorized:
		and(true, `a.state = ? AND a.binding = ?`, string(f.State), f.Binding)
	case f.Binding != "" && f.State == domain.ReauthorizationRequired:
		and(true, `(a.state = ? OR a.state = ? AND a.binding <> ?)`, string(f.State), string(domain.IsAuthorized), f.Binding)
	default:
		and(true, `a.state = ?`, string(f.State))
	}
	return where, args
}
