package projections

import (
	"cmp"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Query asks for a page of a workspace's integrations.
type Query struct {
	Filter
	Sort  Sort
	Limit int  // at least 1
	After *Key // where the page before ended; nil for the first page
}

// Filter narrows a listing; its zero value lets everything through.
type Filter struct {
	Enabled  *bool
	Builtin  *bool           // for Reader: a Store holds no built-ins and takes no notice
	Protocol domain.Protocol // empty: any
	Search   string          // part of the name or the display name, in any case; no character is special
}

// Sort is the order of a listing. Integrations with the same value are ordered
// by id, in the same direction. Its zero value is the newest first.
type Sort struct {
	By        Field // empty: CreatedAt, descending
	Ascending bool
}

// Field is what a listing is ordered by.
type Field string

// What a listing can be ordered by.
const (
	Name      Field = "name"       // byte by byte
	CreatedAt Field = "created_at" // in microseconds
	UpdatedAt Field = "updated_at" // in microseconds
)

// ParseSort reads a field's name with an optional + (the default) or - before
// it. An empty text is the default order, -created_at.
func ParseSort(s string) (Sort, error) {
	if s == "" {
		return Sort{}.normal(), nil
	}
	name, descending := strings.CutPrefix(s, "-")
	if !descending {
		name = strings.TrimPrefix(s, "+")
	}
	switch by := Field(name); by {
	case Name, CreatedAt, UpdatedAt:
		return Sort{By: by, Ascending: !descending}, nil
	}
	return Sort{}, domain.Refuse("/sort_by", "invalid", "must be name, created_at or updated_at, with + or - before it or neither")
}

// String returns s as ParseSort reads it.
func (s Sort) String() string {
	s = s.normal()
	if s.Ascending {
		return "+" + string(s.By)
	}
	return "-" + string(s.By)
}

func (s Sort) normal() Sort {
	if s.By == "" {
		return Sort{By: CreatedAt}
	}
	return s
}

// Key is the place of an integration in an order.
type Key struct {
	Name string // of an order by name
	At   int64  // of an order by time: Micros of it
	ID   domain.ID
}

// KeyOf returns the place of i in the order s.
func (s Sort) KeyOf(i domain.Integration) Key {
	switch s.normal().By {
	case Name:
		return Key{Name: i.Name, ID: i.ID}
	case UpdatedAt:
		return Key{At: Micros(i.UpdatedAt), ID: i.ID}
	default:
		return Key{At: Micros(i.CreatedAt), ID: i.ID}
	}
}

// Order returns the field to order by, spelled out, and whether it ascends.
func (s Sort) Order() (by Field, ascending bool) {
	s = s.normal()
	return s.By, s.Ascending
}

// Value returns the part of k that is compared before the id: text in an order
// by name, an int64 in one by time.
func (s Sort) Value(k Key) any {
	if s.By == Name {
		return k.Name
	}
	return k.At
}

// Compare says whether a comes before (negative) or after (positive) b in the
// order s.
func (s Sort) Compare(a, b Key) int {
	c := cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	if s.normal().Ascending {
		return c
	}
	return -c
}

// Page is a stretch of a listing.
type Page struct {
	Items   []Integration
	HasMore bool
	Total   int  // of all pages, in the moment of this one
	Next    *Key // where the next page goes on; nil when there is none
}

// NewPage returns the page that rows are: the answer to q, read with one more
// than its limit.
func NewPage(q Query, rows []Integration, total int) Page {
	if len(rows) <= q.Limit {
		return Page{Items: rows, Total: total}
	}
	rows = rows[:q.Limit]
	next := q.Sort.KeyOf(rows[q.Limit-1].Integration)
	return Page{Items: rows, HasMore: true, Total: total, Next: &next}
}

// Matches reports whether i belongs in a listing with this filter.
func (f Filter) Matches(i domain.Integration) bool {
	return (f.Enabled == nil || *f.Enabled == i.Enabled) &&
		(f.Builtin == nil || *f.Builtin == i.Builtin) &&
		(f.Protocol == "" || f.Protocol == i.Protocol) &&
		strings.Contains(SearchText(i), f.Needle())
}

// SearchText is the text that a search looks through. Stores keep it beside the
// document, since no two databases agree on what lower case is.
func SearchText(i domain.Integration) string {
	return strings.ToLower(i.Name + "\n" + i.DisplayName)
}

// Needle is what a search looks for in a SearchText.
func (f Filter) Needle() string { return strings.ToLower(f.Search) }

// Micros is the form in which stores keep a time: microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the reverse of Micros.
func FromMicros(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
