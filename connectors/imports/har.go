package imports

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// harEntry is one request of a HAR file, with what its answer was.
type harEntry struct {
	ResourceType string `json:"_resourceType"`
	Request      struct {
		Method      string      `json:"method"`
		URL         string      `json:"url"`
		Headers     []harMember `json:"headers"`
		QueryString []harMember `json:"queryString"`
		PostData    *struct {
			MimeType string      `json:"mimeType"`
			Text     string      `json:"text"`
			Params   []harMember `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Content struct {
			MimeType string `json:"mimeType"`
		} `json:"content"`
	} `json:"response"`
}

type harMember struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	FileName string `json:"fileName"`
}

// HAR reads a HAR file (1.2). Requests for pages, pictures and the like, and those to
// another host than that of the integration are skipped. The values
// that were recorded are those of people, so none becomes an example. An error is the rest
// of a sentence about the document.
func HAR(ctx context.Context, document []byte, of For) (Found, error) {
	var har struct {
		Log struct {
			Entries []harEntry `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal(document, &har); err != nil {
		return Found{}, errors.New("it is not JSON as a HAR file has it")
	}
	if len(har.Log.Entries) == 0 {
		return Found{}, errors.New("it has no log.entries, so it is not a HAR file")
	}
	r := newReader(ctx, of)
	host := hostOf(of.BaseURL)
	var skipped []string
	for _, entry := range har.Log.Entries {
		q := entry.request()
		switch reason := entry.unwanted(host); {
		case entry.Request.Method == http.MethodOptions || entry.Request.Method == http.MethodConnect: // a browser's own
		case reason != "":
			if operation := title(q); !slices.Contains(skipped, operation) && len(skipped) < maxSkipped {
				skipped = append(skipped, operation)
				r.found.Total++
				r.skip(operation, reason)
			}
		case !r.add(q):
			return withoutExamples(r.done()), nil
		}
	}
	return withoutExamples(r.done()), nil
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// unwanted returns why an entry is no request to the API, "" when it is one.
func (e harEntry) unwanted(host string) string {
	media := mediaOf(e.Response.Content.MimeType)
	kind, _, _ := strings.Cut(media, "/")
	switch {
	case hostOf(e.Request.URL) != host:
		return "it goes to another host than the base URL"
	case slices.Contains([]string{"document", "stylesheet", "script", "image", "font", "media", "manifest", "websocket", "ping", "preflight", "texttrack"}, e.ResourceType):
		return "it is for a " + e.ResourceType
	case e.ResourceType == "" && (kind == "image" || kind == "font" || kind == "video" || kind == "audio" || media == "text/css" || media == "text/javascript" || media == "application/javascript" || media == "text/html"):
		return "its answer is " + media
	}
	return ""
}

func (e harEntry) request() request {
	q := request{method: e.Request.Method}
	q.url, _, _ = strings.Cut(e.Request.URL, "?")
	_, query, _ := strings.Cut(e.Request.URL, "?")
	q.query = pairs(query)
	if query == "" {
		q.query = harMembers(e.Request.QueryString)
	}
	q.header = harMembers(e.Request.Headers)
	data := e.Request.PostData
	if data == nil {
		return q
	}
	switch media := mediaOf(data.MimeType); {
	case media == formMedia && len(data.Params) > 0:
		q.body = body{kind: formBody, members: harMembers(data.Params)}
	case media == formMedia:
		q.body = body{kind: formBody, members: pairs(data.Text)}
	case media == "multipart/form-data" && len(data.Params) > 0:
		q.body = body{kind: multipartBody, members: harMembers(data.Params)}
	case media == "multipart/form-data":
		q.body = body{kind: multipartBody}
		q.notes = append(q.notes, "the parts of the form are not known")
	case data.Text != "":
		q.body = body{kind: textBody, text: data.Text, mediaType: media}
	}
	return q
}

func harMembers(all []harMember) []member {
	var found []member
	for _, m := range all {
		found = append(found, member{name: m.Name, value: m.Value, file: m.FileName != ""})
	}
	return found
}

// withoutExamples takes the examples out of the schemas.
func withoutExamples(f Found) Found {
	for n, o := range f.Offers {
		var schema any
		if json.Unmarshal(o.InputSchema, &schema) != nil {
			continue
		}
		if written, err := jsonvalue.Compact(without(schema, false)); err == nil {
			f.Offers[n].InputSchema = []byte(written)
		}
	}
	return f
}

// without returns a schema without examples. The members of properties are names.
func without(v any, names bool) any {
	switch v := v.(type) {
	case map[string]any:
		if !names {
			delete(v, "examples")
		}
		for name, one := range v {
			v[name] = without(one, name == "properties" && !names)
		}
	case []any:
		for n := range v {
			v[n] = without(v[n], false)
		}
	}
	return v
}
