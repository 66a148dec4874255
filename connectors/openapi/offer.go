package openapi

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// maxNames is how many bytes are read of a schema of which the names are kept.
const maxNames = 1 << 20

// Offer returns an operation as an endpoint, or why it can't be one. usable returns
// the problems of an endpoint; one whose schema has any keeps the names only.
func (d *Document) Offer(ctx context.Context, o Operation, in Context, usable func(domain.Offer) []domain.Problem) (offer domain.Offer, reason string) {
	if o.problem != "" {
		return domain.Offer{}, o.problem
	}
	for _, kept := range details {
		if ctx.Err() != nil {
			return domain.Offer{}, "reading it took too long"
		}
		b := d.build(ctx, o, in, kept, MaxSchema)
		if b.problem != "" {
			return domain.Offer{}, b.problem
		}
		if b.schemas.left < 0 || len(b.offer.InputSchema) > MaxSchema {
			continue
		}
		if len(usable(b.offer)) == 0 {
			return b.offer, ""
		}
		break
	}
	b := d.build(ctx, o, in, detail{}, maxNames)
	b.keepNames()
	problems := usable(b.offer)
	if len(problems) == 0 {
		return b.offer, ""
	}
	return domain.Offer{}, problems[0].Pointer[strings.LastIndex(problems[0].Pointer, "/")+1:] + " " + problems[0].Detail
}

// build makes an offer of so much detail, with this many bytes of schemas.
func (d *Document) build(ctx context.Context, o Operation, in Context, kept detail, room int) *builder {
	if d.swagger {
		o = d.converted(o)
	}
	b := &builder{
		document: d, operation: o, method: o.Method, in: in, notes: &notes{},
		properties: map[string]any{}, taken: map[string]int{}, listed: domain.Parameters{}, headers: map[string]string{}, fixedQuery: map[string]bool{},
	}
	b.schemas = &schemas{ctx: ctx, document: d, detail: kept, request: true, left: room, notes: b.notes}
	b.offer = domain.Offer{Name: o.Name, Description: o.Description, Method: o.Method}
	path, names, pathNotes, problem := template(o.Path)
	b.notes.all = append(b.notes.all, pathNotes...)
	if b.placeholders, b.problem = names, problem; problem != "" {
		return b
	}
	var prefix string
	b.offer.BaseURL, prefix = b.server()
	b.offer.Path = prefix + path
	if _, query, has := strings.Cut(path, "?"); has {
		fixed, _ := url.ParseQuery(query)
		for name := range fixed {
			b.fixedQuery[name] = true
		}
	}
	request, requestProblem := d.follow(o.members["requestBody"])
	content, _ := request["content"].(map[string]any)
	if o.members["requestBody"] != nil && len(content) == 0 {
		b.notes.add("the body is left out: it %s", cmpText(requestProblem, "has no content"))
	}
	b.hasBody = len(content) > 0
	for _, p := range b.parameters() {
		b.place(p)
	}
	b.fillPath()
	if b.hasBody {
		b.requestBody(request, content)
	}
	if !b.hasBody && b.method != "GET" && b.method != "DELETE" {
		b.body = &domain.Body{Format: domain.NoBody}
	}
	b.accept()
	if b.schemas.left >= 0 { // else it is too large, or its names are kept only
		b.finish()
	}
	return b
}

// finish puts together what was found.
func (b *builder) finish() {
	b.offer.Body, b.offer.BodyFormat = b.body, domain.JSONBody
	switch {
	case b.body == nil:
	case *b.body == (domain.Body{Format: domain.FormBody}) && b.method != "GET" && b.method != "DELETE":
		b.offer.Body, b.offer.BodyFormat = nil, domain.FormBody // the short form
	default:
		b.offer.BodyFormat = ""
	}
	if len(b.listed) > 0 {
		b.offer.Parameters = b.listed
	}
	if len(b.headers) > 0 {
		b.offer.Headers = b.headers
	}
	slices.Sort(b.required)
	b.required = slices.Compact(b.required)
	schema := map[string]any{"type": "object", "properties": b.properties}
	if len(b.required) > 0 {
		schema["required"] = b.required
	}
	if b.additional != nil && b.additional != true {
		schema["additionalProperties"] = b.additional
	}
	b.offer.Notes = b.notes.list()
	data, err := json.Marshal(schema)
	if err != nil {
		data = []byte(`{}`)
	}
	b.offer.InputSchema = data
}

// keepNames lets every property take anything.
func (b *builder) keepNames() {
	for name, property := range b.properties {
		from, _ := property.(map[string]any)
		kept := map[string]any{}
		if from["contentEncoding"] == "base64" {
			kept = map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		b.properties[name] = kept
	}
	b.additional = nil
	b.notes.add("the schema is too large or can't be used: every parameter takes anything")
	if b.finish(); len(b.offer.InputSchema) > MaxSchema {
		b.offer.InputSchema = []byte(`{}`)
	}
}

// accept sets the header Accept where no successful response is application/json, which
// is asked for otherwise.
func (b *builder) accept() {
	described := b.headers["Accept"]
	if b.onlyAccept {
		return
	}
	responses, _ := b.operation.members["responses"].(map[string]any)
	var kinds []string
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		if strings.HasPrefix(status, "2") {
			kinds = slices.AppendSeq(kinds, maps.Keys(b.contentOf(responses[status])))
		}
	}
	if len(kinds) == 0 {
		kinds = slices.AppendSeq(kinds, maps.Keys(b.contentOf(responses["default"])))
	}
	if len(kinds) == 0 { // nothing but errors
		for _, response := range responses {
			kinds = slices.AppendSeq(kinds, maps.Keys(b.contentOf(response)))
		}
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return domain.HeaderValueProblem(kind) != "" || !strings.Contains(kind, "/") })
	if slices.ContainsFunc(kinds, func(kind string) bool {
		name, _, _ := strings.Cut(strings.ToLower(kind), ";")
		return name == jsonType || name == "*/*" || name == "application/*"
	}) {
		if described != "" && !strings.Contains(described, jsonType) {
			b.headers["Accept"] = described + ", " + jsonType
		}
		return
	}
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(strings.Compare(jsonFirst(a), jsonFirst(b)), strings.Compare(a, b))
	})
	kinds = slices.Compact(kinds)
	if described != "" {
		kinds = append([]string{described}, slices.DeleteFunc(kinds, func(kind string) bool { return strings.Contains(described, kind) })...)
	}
	if kinds = kinds[:min(len(kinds), maxAccepted)]; len(kinds) > 0 {
		b.headers["Accept"] = strings.Join(kinds, ", ")
	}
}

const maxAccepted = 5 // media types in the header Accept

func (b *builder) contentOf(response any) map[string]any {
	content, _ := b.document.object(response)["content"].(map[string]any)
	return content
}

func jsonFirst(mediaType string) string {
	if kindOf(mediaType) == domain.JSONBody {
		return "0"
	}
	return "1"
}
