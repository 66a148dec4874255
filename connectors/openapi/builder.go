package openapi

import "github.com/seed677028b5/integrations/domain"

// MaxSchema is the most bytes that the schema of an offer has: no model is helped by
// more, and compiling it takes long.
const MaxSchema = 64 << 10

// Context is what offers are made for.
type Context struct {
	BaseURL string // of the integration
	Found   string // the URL of the document, "" when it was given by value

	// What the auth of the integration sets, which is no parameter.
	AuthHeader, AuthQuery string
}

// builder makes one offer.
type builder struct {
	document  *Document
	operation Operation
	method    string
	in        Context
	schemas   *schemas
	notes     *notes
	problem   string

	offer        domain.Offer
	placeholders map[string]string // name in the path to name in the document
	fixedQuery   map[string]bool
	properties   map[string]any
	taken        map[string]int // names of properties
	required     []string
	additional   any // members that have no property
	listed       domain.Parameters
	headers      map[string]string
	onlyAccept   bool // the document requires the header Accept as it is
	body         *domain.Body
	hasBody      bool
}
