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

	CountTo int  // how many matches of a search are counted; 0: all. A listing without a search is always counted whole
	NoTotal bool // nothing is counted; the total is 0
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
type Page = PageOf[Integration]

// AnswerPage is a page of what the API answers.
type AnswerPage = PageOf[Answer]

// PageOf is a page of a listing.
type PageOf[Item Placed] struct {
	Items   []Item
	HasMore bool
	Next    *Key // where the next page starts; nil when there is none
	Total   int  // of all pages, at the time of this one
	AtLeast bool // there may be more than Total: not all matches of a search were counted

	// Release lets the store use the memory of the items for another page; nil: the store
	// doesn't. It may be called once, or never.
	Release func()
}

// Placed is what has a place in an order.
type Placed interface{ Place(s Sort) Key }

// Place returns the place of i in the order s.
func (i Integration) Place(s Sort) Key { return s.KeyOf(i.Integration) }

// Place returns the place of a in the order that it was listed in.
func (a Answer) Place(Sort) Key { return a.Key }

// Counted is how many integrations a query selects.
type Counted struct {
	Total   int
	AtLeast bool // there may be more
}

// AtMost returns how many matches a store has to count for q; 0: all.
func (q Query) AtMost() int {
	if q.CountTo > 0 && q.Search != "" {
		return q.CountTo + 1
	}
	return 0
}

// Counted returns the total of what a store counted for q, which is at most AtMost.
func (q Query) Counted(found int) Counted {
	if most := q.AtMost(); most > 0 && found >= most {
		return Counted{Total: q.CountTo, AtLeast: true}
	}
	return Counted{Total: found}
}

// NewPage returns the page for q from rows that were read with one more than its limit.
func NewPage[Item Placed](q Query, rows []Item, of Counted) PageOf[Item] {
	page := PageOf[Item]{Items: rows, Total: of.Total, AtLeast: of.AtLeast}
	if len(rows) <= q.Limit {
		return page
	}
	page.Items, page.HasMore = rows[:q.Limit], true
	next := rows[q.Limit-1].Place(q.Sort)
	page.Next = &next
	return page
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
