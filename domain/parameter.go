package domain

// Parameters maps properties of an input schema to where they travel. A property that
// is not listed goes to its placeholder in the path, else to the query of a GET or
// DELETE, else to the body.
type Parameters map[string]Parameter

// Parameter describes where and how a property of the input schema travels, as the
// Parameter Object of OpenAPI 3.1 does, whose defaults apply.
type Parameter struct {
	In            string `json:"in"`              // path, query, header, cookie or body
	Name          string `json:"name,omitempty"`  // on the wire; "": that of the property
	Style         string `json:"style,omitempty"` // "": the default for In
	Explode       *bool  `json:"explode,omitempty"`
	AllowReserved bool   `json:"allow_reserved,omitempty"` // in the query: reserved characters are not escaped
}

// Places of a parameter.
const (
	InPath   = "path"
	InQuery  = "query"
	InHeader = "header"
	InCookie = "cookie"
	InBody   = "body"
)

// Body describes the body of a request.
type Body struct {
	MediaType string `json:"media_type,omitempty"` // "": the default for Format
	Format    string `json:"format"`               // json, form, multipart, text or base64
	Property  string `json:"property,omitempty"`   // the property whose value is the whole body; "": an object of what is left
}

// Formats of a body.
const (
	JSONBody      = "json"
	FormBody      = "form"
	MultipartBody = "multipart"
	TextBody      = "text"
	Base64Body    = "base64"
)
