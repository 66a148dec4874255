package imports

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

const maxFolders = 20 // inside each other

// postmanItem is a folder or a request of a collection.
type postmanItem struct {
	Name        string          `json:"name"`
	Description any             `json:"description"`
	Item        []postmanItem   `json:"item"`
	Request     json.RawMessage `json:"request"`
	Auth        postmanAuth     `json:"auth"`
}

type postmanAuth struct {
	Type string `json:"type"`
}

// postmanMember is a header, a variable, or a member of a query or a form.
type postmanMember struct {
	Key         string `json:"key"`
	Value       any    `json:"value"`
	Description any    `json:"description"`
	Disabled    bool   `json:"disabled"`
	Type        string `json:"type"`
}

type postmanRequest struct {
	Method      string          `json:"method"`
	URL         json.RawMessage `json:"url"`
	Header      json.RawMessage `json:"header"` // an array; in old collections a text
	Description any             `json:"description"`
	Auth        postmanAuth     `json:"auth"`
	Body        struct {
		Mode       string          `json:"mode"`
		Raw        string          `json:"raw"`
		URLEncoded []postmanMember `json:"urlencoded"`
		FormData   []postmanMember `json:"formdata"`
		GraphQL    struct {
			Query     string `json:"query"`
			Variables any    `json:"variables"` // a text, or an object
		} `json:"graphql"`
		Options struct {
			Raw struct {
				Language string `json:"language"`
			} `json:"raw"`
		} `json:"options"`
		Disabled bool `json:"disabled"`
	} `json:"body"`
}

type postmanURL struct {
	Raw      string          `json:"raw"`
	Query    []postmanMember `json:"query"`
	Variable []postmanMember `json:"variable"`
}

// Postman reads a Postman collection (v2.1, and v2.0). Of is the
// integration that it is for. An error is the rest of a sentence about the document.
func Postman(ctx context.Context, document []byte, of For) (Found, error) {
	var collection struct {
		Info struct {
			Schema string `json:"schema"`
		} `json:"info"`
		Item       []postmanItem   `json:"item"`
		Variable   []postmanMember `json:"variable"`
		Auth       postmanAuth     `json:"auth"`
		Collection json.RawMessage `json:"collection"` // as the API of Postman answers
	}
	if err := json.Unmarshal(document, &collection); err != nil {
		return Found{}, errors.New("it is not JSON as a collection has it")
	}
	if len(collection.Item) == 0 && len(collection.Collection) > 0 {
		return Postman(ctx, collection.Collection, of)
	}
	if len(collection.Item) == 0 {
		return Found{}, errors.New("it has no items, so it is not a collection of v2.1")
	}
	variables := map[string]string{}
	for _, v := range collection.Variable {
		if value := textOf(v.Value); strings.Contains(value, "://") && !v.Disabled { // only those that make the URL
			variables[v.Key] = value
		}
	}
	p := postman{reader: newReader(ctx, of), variables: variables}
	p.items(collection.Item, collection.Auth, 0)
	return p.done(), nil
}

type postman struct {
	*reader
	variables map[string]string
}

// items reads the items of a folder, whose requests inherit its auth. It reports whether
// there is room for more.
func (p *postman) items(items []postmanItem, auth postmanAuth, depth int) bool {
	for _, item := range items {
		inherited := auth
		if item.Auth.Type != "" {
			inherited = item.Auth
		}
		switch {
		case len(item.Request) > 0:
			if !p.add(p.request(item, inherited)) {
				return false
			}
		case depth >= maxFolders:
			p.skip(clean(item.Name, 100), "the folder is too deep inside others")
		default:
			if !p.items(item.Item, inherited, depth+1) {
				return false
			}
		}
	}
	return true
}

// request returns the request of an item.
func (p *postman) request(item postmanItem, auth postmanAuth) request {
	q := request{name: item.Name, method: "GET", values: map[string]string{}}
	var r postmanRequest
	var plain string
	if json.Unmarshal(item.Request, &plain) == nil { // only a URL
		q.url = p.resolved(plain)
		return q
	}
	if err := json.Unmarshal(item.Request, &r); err != nil {
		q.notes = append(q.notes, "a part of the request can't be read")
	}
	if r.Method != "" {
		q.method = r.Method
	}
	q.about = jsonvalue.FirstString(aboutOf(r.Description), aboutOf(item.Description), item.Name)
	var u postmanURL
	if json.Unmarshal(r.URL, &u) != nil {
		_ = json.Unmarshal(r.URL, &u.Raw) // what is neither is an empty URL
	}
	q.url = p.resolved(u.Raw)
	for _, v := range u.Variable {
		q.values[v.Key] = textOf(v.Value)
	}
	if len(u.Query) > 0 {
		q.url, _, _ = strings.Cut(q.url, "?")
		q.query = membersOf(u.Query)
	}
	var headers []postmanMember
	_ = json.Unmarshal(r.Header, &headers) // an older form is not read
	q.header = membersOf(headers)
	if r.Auth.Type != "" {
		auth = r.Auth
	}
	if auth.Type != "" && auth.Type != "noauth" {
		q.leftOut = append(q.leftOut, "the auth of type "+clean(auth.Type, 30)+": configure auth")
	}
	if !r.Body.Disabled {
		q.body = bodyOf(r, headerOf(q.header, "Content-Type"))
	}
	return q
}

// resolved returns a URL with the variables at its beginning written out.
func (p *postman) resolved(raw string) string {
	at := braces.FindStringSubmatchIndex(raw)
	if at == nil || at[0] != 0 {
		return raw
	}
	value, known := p.variables[raw[at[2]:at[3]]]
	if !known || strings.Contains(value, "{{") {
		return raw
	}
	return strings.TrimRight(value, "/") + raw[at[1]:]
}

func bodyOf(r postmanRequest, contentType string) body {
	media := mediaOf(contentType)
	switch r.Body.Mode {
	case "raw":
		if media == "" {
			media = map[string]string{"json": jsonMedia, "xml": "application/xml", "html": "text/html", "text": "text/plain", "javascript": "application/javascript"}[r.Body.Options.Raw.Language]
		}
		if media == "" {
			return dataBodyOrText(r.Body.Raw)
		}
		return body{kind: textBody, text: r.Body.Raw, mediaType: media}
	case "urlencoded":
		return body{kind: formBody, members: membersOf(r.Body.URLEncoded)}
	case "formdata":
		return body{kind: multipartBody, members: membersOf(r.Body.FormData)}
	case "file":
		return body{kind: fileBody, mediaType: media}
	case "graphql":
		variables := r.Body.GraphQL.Variables
		if text, ok := variables.(string); ok {
			variables, _ = decodeJSON(text)
		}
		written, err := jsonvalue.Compact(map[string]any{"query": r.Body.GraphQL.Query, "variables": variables})
		if err != nil {
			return body{}
		}
		return body{kind: textBody, text: written, mediaType: jsonMedia}
	}
	return body{}
}

// dataBodyOrText returns a text of no type as JSON where it is JSON.
func dataBodyOrText(text string) body {
	if _, ok := decodeJSON(text); ok {
		return body{kind: textBody, text: text, mediaType: jsonMedia}
	}
	return body{kind: textBody, text: text, mediaType: "text/plain"}
}

func membersOf(all []postmanMember) []member {
	var found []member
	for _, m := range all {
		if !m.Disabled {
			found = append(found, member{name: m.Key, value: textOf(m.Value), about: aboutOf(m.Description), file: m.Type == "file"})
		}
	}
	return found
}

// textOf returns a scalar as text.
func textOf(v any) string {
	text, _ := jsonvalue.Scalar(v)
	return text
}

// aboutOf returns a description, which is a text or an object with content.
func aboutOf(v any) string {
	if object, ok := v.(map[string]any); ok {
		v = object["content"]
	}
	return jsonvalue.FirstString(v)
}
