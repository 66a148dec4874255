package projections

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// ApprovalDocument is an approval after the event at a position in the log of approvals.
type ApprovalDocument struct {
	Position uint64
	Approval domain.Approval
}

// ApprovalQuery selects a page of the approvals of a workspace, newest first.
type ApprovalQuery struct {
	State       domain.ApprovalState // as stored; empty: any
	Integration domain.ID            // empty: any
	Key         string               // that asked; empty: any
	Limit       int                  // at least 1
	After       *ApprovalKey         // where the previous page ended; nil for the first page
}

// ApprovalKey is the place of an approval in the order of a listing.
type ApprovalKey struct {
	At int64 // Micros of when it was asked for
	ID string
}

// ApprovalPage is a page of approvals.
type ApprovalPage struct {
	Items []domain.Approval
	Next  *ApprovalKey // where the next page starts; nil when there is none
}

// Matches reports whether a query selects an approval.
func (q ApprovalQuery) Matches(a domain.Approval) bool {
	return (q.State == "" || q.State == a.State) && (q.Integration == "" || q.Integration == a.Integration) && (q.Key == "" || q.Key == a.Key)
}

// ApprovalKeyOf returns the place of an approval.
func ApprovalKeyOf(a domain.Approval) ApprovalKey {
	return ApprovalKey{At: Micros(a.RequestedAt), ID: a.ID}
}

// CompareApprovals returns a negative number if a is listed before b.
func CompareApprovals(a, b ApprovalKey) int {
	return -cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
}

// NewApprovalPage returns the page for q from rows that were read with one more than its limit.
func NewApprovalPage(q ApprovalQuery, rows []domain.Approval) ApprovalPage {
	if len(rows) <= q.Limit {
		return ApprovalPage{Items: rows}
	}
	rows = rows[:q.Limit]
	next := ApprovalKeyOf(rows[q.Limit-1])
	return ApprovalPage{Items: rows, Next: &next}
}

// EncodeApproval returns the stored form of an approval.
func EncodeApproval(a domain.Approval) ([]byte, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode approval %s: %w", a.ID, err)
	}
	return data, nil
}

// DecodeApproval is the reverse of EncodeApproval.
func DecodeApproval(data []byte) (domain.Approval, error) {
	var a domain.Approval
	if err := json.Unmarshal(data, &a); err != nil {
		return domain.Approval{}, fmt.Errorf("decode a stored approval: %w", err)
	}
	return a, nil
}

// foldApprovals returns the approvals that commits lead to, in the order of their log. It skips
// an unreadable event, which the next one of that approval replaces.
func foldApprovals(commits []eventstore.Commit) (b Batch, refused []Parked) {
	type key struct {
		of domain.Ref
		id string
	}
	at := map[key]int{}
	for _, c := range commits {
		b.Reached.Approvals = c.Position
		a, ok := domain.ApprovalOf(c.Event)
		if c.Err != nil || !ok || a.Workspace != c.Workspace || a.Integration != c.ID || a.ID != c.Key {
			continue
		}
		k := key{c.Ref(), a.ID}
		n, seen := at[k]
		if !seen {
			n = len(b.Approvals)
			at[k] = n
			b.Approvals = append(b.Approvals, ApprovalDocument{})
		}
		b.Approvals[n] = ApprovalDocument{Position: c.Position, Approval: a}
	}
	return b, nil
}

// maxApprovalsRead bounds how many approvals are read for one page of a caller who doesn't see
// all of them.
const maxApprovalsRead = 1000

// Approvals returns a page of the approvals of a workspace, newest first, as the scope of ctx
// shows them. Where the scope hides some, a page may have fewer than its limit, and still a
// next one.
func (r Reader) Approvals(ctx context.Context, w domain.Workspace, q ApprovalQuery) (ApprovalPage, error) {
	if err := r.caughtUp(ctx); err != nil {
		return ApprovalPage{}, err
	}
	scope := domain.ScopeOf(ctx)
	if !scope.Narrow() {
		return r.Store.Approvals(ctx, w, q)
	}
	items := []domain.Approval{}
	one := q
	for read := 0; read < maxApprovalsRead; read += one.Limit {
		page, err := r.Store.Approvals(ctx, w, one)
		if err != nil {
			return ApprovalPage{}, err
		}
		items = append(items, slices.DeleteFunc(page.Items, func(a domain.Approval) bool { return !scope.Shows(a.Name, a.Endpoint, a.Method) })...)
		if len(items) >= q.Limit {
			more := page.Next != nil || len(items) > q.Limit
			items = items[:q.Limit]
			if !more {
				return ApprovalPage{Items: items}, nil
			}
			next := ApprovalKeyOf(items[q.Limit-1])
			return ApprovalPage{Items: items, Next: &next}, nil
		}
		if one.After = page.Next; one.After == nil {
			return ApprovalPage{Items: items}, nil
		}
	}
	return ApprovalPage{Items: items, Next: one.After}, nil
}
