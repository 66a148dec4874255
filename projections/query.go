package projections

import (
	"cmp"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Query selects a page of a workspace's integrations.
type Query struct {
	Filter
	Sort  Sort
	Limit int  // at least 1
	After *Key // where the previous page ended; nil for the first page
}

// Filter restricts a listing; the zero value matches everything.
type Filter struct {
	Enabled  *bool
	Builtin  *bool           // for Reader: a Store has no built-ins and ignores it
	Protocol domain.Protocol // empty: any
	Search   string          // a literal part of the name or display name; case-insensitive
}

// Sort is the order of a listing. Integrations with equal values are ordered by id, in the same
// direction. The zero value is newest first.
type Sort struct {
	By        Field // empty: CreatedAt, descending
	Ascending bool
}

// Field is a field that listings are ordered by.
type Field string

// The fields to order by.
const (
	Name      Field = "name"       // byte by byte
	CreatedAt Field = "created_at" // in microseconds
	UpdatedAt Field = "updated_at" // in microseconds
)

// ParseSort parses the name of a field with an optional prefix + (the default) or -. An empty
// string is the default order, -created_at.
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
	return Sort{}, domain.Refuse("/sort_by", "invalid", "must be name, created_at or updated_at, optionally prefixed with + or -")
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
	Name string // in an order by name
	At   int64  // in an order by time: its Micros
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

// Order returns the field to order by, with defaults applied, and whether it ascends.
func (s Sort) Order() (by Field, ascending bool) {
	s = s.normal()
	return s.By, s.Ascending
}

// Value returns the part of k that is compared before the id: a string in an order by name, an
// int64 in an order by time.
func (s Sort) Value(k Key) any {
	if s.By == Name {
		return k.Name
	}
	return k.At
}

// Compare returns a negative number if a precedes b in the order s, a positive one if it
// follows.
func (s Sort) Compare(a, b Key) int {
	c := cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	if s.normal().Ascending {
		return c
	}
	return -c
}

// Page is a page of a listing.
type Page struct {
	Items   []Integration
	HasMore bool
	Total   int  // of all pages, at the time of this one
	Next    *Key // where the next page starts; nil when there is none
}

// NewPage returns the page for q from rows that were read with one more than its limit.
func NewPage(q Query, rows []Integration, total int) Page {
	if len(rows) <= q.Limit {
		return Page{Items: rows, Total: total}
	}
	rows = rows[:q.Limit]
	next := q.Sort.KeyOf(rows[q.Limit-1].Integration)
	return Page{Items: rows, HasMore: true, Total: total, Next: &next}
}

// Matches reports whether i matches the filter.
func (f Filter) Matches(i domain.Integration) bool {
	return (f.Enabled == nil || *f.Enabled == i.Enabled) &&
		(f.Builtin == nil || *f.Builtin == i.Builtin) &&
		(f.Protocol == "" || f.Protocol == i.Protocol) &&
		strings.Contains(SearchText(i), f.Needle())
}

// SearchText returns the text that a search matches. Stores keep it beside the document,
// because databases disagree on lower case.
func SearchText(i domain.Integration) string {
	return strings.ToLower(i.Name + "\n" + i.DisplayName)
}

// Needle returns what a search looks for in a SearchText.
func (f Filter) Needle() string { return strings.ToLower(f.Search) }

// Micros returns the stored form of a time: microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the reverse of Micros.
func FromMicros(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
