package domain

import (
	"fmt"
	"mime"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// Parameters maps properties of an input schema to where they travel. A property that
// is not listed fills its placeholders, else it goes to the body if Body is given, to
// the query of a GET or DELETE, and to the body otherwise.
//
// A property that fills a placeholder by its name and is listed with another place
// travels there as well, such as the id of a FHIR update.
type Parameters map[string]Parameter

// Parameter describes where and how a property of the input schema travels, as the
// Parameter Object of OpenAPI 3.1 does, whose defaults apply.
type Parameter struct {
	In            string `json:"in"`              // path, query, header, cookie or body
	Name          string `json:"name,omitempty"`  // on the wire; "": that of the property
	Style         string `json:"style,omitempty"` // a style of OpenAPI, or json: JSON text; "": the default for In
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
	Format    string `json:"format"`               // json, form, multipart, text, base64 or none
	MediaType string `json:"media_type,omitempty"` // "": the default for Format
	Property  string `json:"property,omitempty"`   // whose value is the whole body; "": an object of what is left
}

// Formats of a body.
const (
	JSONBody      = "json"
	FormBody      = "form"
	MultipartBody = "multipart" // a string with contentEncoding base64 in the schema is a file
	TextBody      = "text"      // of a Property
	Base64Body    = "base64"    // of a Property: the bytes that its base64 stands for
	NoBody        = "none"      // what is left goes to the query
)

// styles lists the styles that each place has. The first is the default.
var styles = map[string][]string{
	InPath:   {"simple", "label", "matrix"},
	InQuery:  {"form", "spaceDelimited", "pipeDelimited", "deepObject", "json"},
	InHeader: {"simple", "json"},
	InCookie: {"form", "json"},
	InBody:   {"form", "spaceDelimited", "pipeDelimited", "deepObject", "json"},
}

// maxParameters is the most parameters that may be listed.
const maxParameters = 500

// WireName returns the name on the wire of a listed property.
func (p Parameter) WireName(property string) string {
	if p.Name != "" {
		return p.Name
	}
	return property
}

// RequestBody returns how the body travels, and whether the endpoint describes it
// by more than body_format.
func (e Endpoint) RequestBody() (body Body, described bool) {
	if e.Body != nil {
		return *e.Body, true
	}
	return Body{Format: e.BodyFormat}, false
}

// Property returns the property that fills the placeholder of that name.
func (e Endpoint) Property(placeholder string) string {
	for property, p := range e.Parameters {
		if p.In == InPath && p.WireName(property) == placeholder {
			return property
		}
	}
	return placeholder
}

// QueryTemplate returns the optional members of the query in the path, which are
// written as in RFC 6570: {?name,list*} or {&name}. The value is whether an array or an
// object explodes.
func (e Endpoint) QueryTemplate() map[string]bool {
	var members map[string]bool
	for _, match := range queryTemplateSyntax.FindAllStringSubmatch(e.Path, -1) {
		for name := range strings.SplitSeq(match[1], ",") {
			if members == nil {
				members = map[string]bool{}
			}
			bare, explode := strings.CutSuffix(name, "*")
			members[bare] = explode
		}
	}
	return members
}

// PlainPath returns the path without its query template.
func (e Endpoint) PlainPath() string { return queryTemplateSyntax.ReplaceAllString(e.Path, "") }

// HeaderPlaceholders returns the names of the placeholders in the values of the headers,
// sorted. A header whose placeholder has no value is left out.
func (e Endpoint) HeaderPlaceholders() []string {
	var names []string
	for _, value := range e.Headers {
		names = append(names, placeholders(value)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// placeholders returns the names in braces that placeholderSyntax finds. Each call looks for them
// several times, and a regular expression takes longer than the rest of a path.
func placeholders(template string) []string {
	var names []string
	for {
		_, after, found := strings.Cut(template, "{")
		if !found {
			return names
		}
		template = after
		end := 0
		for end < len(after) && isPlaceholderByte(after[end]) {
			end++
		}
		if end == 0 || end > maxPlaceholder || end == len(after) || after[end] != '}' {
			continue
		}
		template = after[end+1:]
		if name := after[:end]; !strings.HasPrefix(name, accountPrefix) { // which no caller fills
			names = append(names, name)
		}
	}
}

// maxPlaceholder is how many bytes the name of a placeholder has at most.
const maxPlaceholder = 128

func isPlaceholderByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '.' || b == '-'
}

// readParameters reads the parameters member, which replaces the object. The path, the
// headers and the body were read before.
func (e *Endpoint) readParameters(in *object) {
	if len(in.members) > maxParameters {
		in.problem("", "too_many", "has %d members; at most %d are allowed", len(in.members), maxParameters)
		return
	}
	e.Parameters = Parameters{}
	taken := map[string]bool{}
	in.each(func(property string) {
		in.object(property, func(o *object) {
			var p Parameter
			p.read(o)
			if !e.acceptsParameter(o, property, p) {
				return
			}
			wire := p.In + " " + p.WireName(property)
			if p.In == InHeader {
				wire = strings.ToLower(wire)
			}
			if taken[wire] {
				o.problem("name", "duplicate", "is the name of another parameter in the same place")
			}
			taken[wire] = true
			e.Parameters[property] = p
		})
	})
	if len(e.Parameters) == 0 {
		e.Parameters = nil
	}
}

func (p *Parameter) read(o *object) {
	choice(o, "in", &p.In, InPath, InQuery, InHeader, InCookie, InBody)
	o.required("in", p.In != "")
	o.nullableText("name", &p.Name, length(1, 256), noControl)
	if p.In != "" {
		choice(o, "style", &p.Style, styles[p.In]...)
	}
	if explode, ok := member[bool](o, "explode", "true or false"); ok {
		p.Explode = &explode
	}
	o.boolean("allow_reserved", &p.AllowReserved)
	if p.AllowReserved && p.In != InQuery {
		o.problem("allow_reserved", "not_allowed", "applies to the query only")
	}
	o.done()
}

// acceptsParameter reports whether a listed property can travel where it is listed.
func (e *Endpoint) acceptsParameter(o *object, property string, p Parameter) bool {
	at, name := "name", p.WireName(property)
	if p.Name == "" {
		at = ""
	}
	switch p.In {
	case InPath:
		if !slices.Contains(placeholders(e.PlainPath()), name) {
			o.problem(at, "not_allowed", "is in the path, which has no placeholder {%s}", name)
			return false
		}
	case InHeader:
		if !o.check(at, name, freeHeader) {
			return false
		}
		if _, fixed := e.Headers[textproto.CanonicalMIMEHeaderKey(name)]; fixed {
			o.problem(at, "duplicate", "is a header that headers sets")
			return false
		}
	case InCookie:
		if !headerSyntax.MatchString(name) {
			o.problem(at, "pattern", "is not the name of a cookie")
			return false
		}
	case InBody:
		return e.acceptsMember(o, p)
	}
	return p.In != ""
}

// acceptsMember reports whether the body can have a listed property.
func (e *Endpoint) acceptsMember(o *object, p Parameter) bool {
	body, _ := e.RequestBody()
	switch {
	case body.Property != "" || body.Format == NoBody || body.Format == TextBody || body.Format == Base64Body:
		o.problem("in", "not_allowed", "is in the body, which has no members: see body")
		return false
	case body.Format == JSONBody && (p.Style != "" || p.Explode != nil):
		o.problem("style", "not_allowed", "style and explode apply to a body of the format form or multipart only")
		return false
	}
	return true
}

// readBody reads the body member over the default.
func (e *Endpoint) readBody(in *object) {
	body := Body{}
	choice(in, "format", &body.Format, JSONBody, FormBody, MultipartBody, TextBody, Base64Body, NoBody)
	if _, given := in.given("format"); !given {
		body.Format = JSONBody
	}
	in.nullableText("media_type", &body.MediaType, length(1, 256), mediaType)
	in.nullableText("property", &body.Property, length(1, 256), noControl)
	in.done()
	switch body.Format {
	case TextBody, Base64Body:
		in.required("property", body.Property != "")
	case FormBody, MultipartBody, NoBody:
		if body.Property != "" {
			in.problem("property", "not_allowed", "applies to the formats json, text and base64 only")
		}
	}
	if body.Format == NoBody && body.MediaType != "" {
		in.problem("media_type", "not_allowed", "doesn't apply to the format none")
	}
	e.Body, e.BodyFormat = &body, JSONBody
	if body.Format == FormBody {
		e.BodyFormat = FormBody
	}
}

// mediaType is the rule for a media type with its parameters (RFC 9110, 8.3.1).
func mediaType(s string) (string, string) {
	name, _, err := mime.ParseMediaType(s)
	if err != nil || !mediaTypeSyntax.MatchString(name) {
		return "pattern", "must be a media type, such as application/json; charset=utf-8"
	}
	return headerValue(s)
}

var mediaTypeSyntax = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$`)

// refuseRequestFields refuses what only a request to a REST or FHIR API has, and the
// tool of an endpoint where there are no tools.
func (i *Integration) refuseRequestFields(o *object) {
	if _, given := o.given("endpoints"); !given {
		return
	}
	for n := range i.Endpoints {
		e := &i.Endpoints[n]
		at := newObject(fmt.Sprintf("/endpoints/%d", n), nil, o.problems)
		switch {
		case i.Protocol != MCP && e.Tool != "":
			at.problem("tool", "not_allowed", "only an integration with protocol mcp has tools")
		case i.Protocol == MCP && len(e.Parameters) > 0:
			at.problem("parameters", "not_allowed", "the arguments of an MCP tool travel as they are")
		case i.Protocol == MCP && e.Body != nil:
			at.problem("body", "not_allowed", "the arguments of an MCP tool travel as they are")
		}
	}
}
