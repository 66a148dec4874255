// Package accesslog records which requests were denied, and which keys are used from where,
// in a log of its own.
//
// Its one promise: no number of requests fills the disk or costs a write each. Requests that
// are alike are one record with a count, records of callers without a key have a budget, and
// what exceeds the bounds is counted.
package accesslog

import (
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
)

// Kind is what a record is about.
type Kind string

// The kinds.
const (
	Denied Kind = "access.denied"   // requests that were answered with 401 or 403, or that name what a narrowed key does not see
	Used   Kind = "access.key_used" // requests with a valid key
	Cut    Kind = "access.cut"      // requests that no record was written of, of a workspace or of none
	Erased Kind = "access.erased"   // an operator has erased what is stored of a person, or of a workspace
)

// A Record is a number of requests that are alike.
type Record struct {
	Kind      Kind             `json:"-"`
	Workspace domain.Workspace `json:"-"` // that sees it: of the key, or of the path when no key is valid or it is the operator's

	Key       string           `json:"key_id,omitempty"`       // empty: none is valid
	Address   string           `json:"address,omitempty"`      // of the caller
	Route     string           `json:"route,omitempty"`        // the method and the pattern of the path, of denied requests
	Code      string           `json:"code,omitempty"`         // of the answer
	Status    int              `json:"status,omitempty"`       // of the answer
	Asked     domain.Workspace `json:"workspace_id,omitempty"` // of the path of the first; of what was cut, the workspace
	RequestID string           `json:"request_id,omitempty"`   // of the first
	Count     uint64           `json:"count"`
	First     time.Time        `json:"first_at"`
	Last      time.Time        `json:"last_at"`
	Aliases   []string         `json:"aliases,omitempty"` // of an erasure: what stands for the person in what is stored; empty: the whole workspace was erased

	aimed bool // without a valid key, at a workspace that exists
}

// like identifies the requests of one record.
type like struct {
	kind                      Kind
	workspace                 domain.Workspace
	key, address, route, code string
}

func (r Record) like() like {
	return like{r.Kind, r.Workspace, r.Key, r.Address, r.Route, r.Code}
}

// all is the workspace of records that are of no workspace.
const all = persons.Everywhere
