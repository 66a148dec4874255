package transport_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// request is one request. By default its path is below the workspace acme, with that
// workspace's key and JSON.
type request struct {
	method, path string
	body         any    // a string is sent unchanged, anything else as JSON
	key          string // "none": no key
	header       map[string]string
	wrong        bool // the request breaks the API's description on purpose
}

// reply is a complete response.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	text   string
	json   map[string]any
}

var (
	startValidator sync.Once
	validator      string // URL of test/servers/openapi
)

// validate posts a value to the validator of openapi.yaml, and decodes its answer.
func validate(t testing.TB, path string, value, into any) {
	t.Helper()
	startValidator.Do(func() { validator, _ = peers.StartProgram(t, "openapi", "openapi.yaml") })
	require.NotEmpty(t, validator, "the validator did not start")
	data, err := json.Marshal(value)
	require.NoError(t, err)
	resp, err := http.Post(validator+path, "application/json", bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
	require.NoError(t, resp.Body.Close())
}

// exchange is a request and its answer, for the validator.
type exchange struct {
	Method, URL, Host string
	Header            http.Header
	Body              []byte
	SkipRequest       bool
	Response          *answered
}

type answered struct {
	Status int
	Header http.Header
	Body   []byte
}

// send sends a request, and validates it and the response against openapi.yaml.
func (s *service) send(r request) reply {
	s.t.Helper()
	var body []byte
	switch given := r.body.(type) {
	case nil:
	case string:
		body = []byte(given)
	default:
		var err error
		body, err = json.Marshal(given)
		require.NoError(s.t, err)
	}
	path := r.path
	if strings.HasPrefix(path, "/integration") || strings.HasPrefix(path, "/approvals") || strings.HasPrefix(path, "/api-keys") || strings.HasPrefix(path, "/access-events") || strings.HasPrefix(path, "/webhook") {
		path = "/v1/acme" + path
	}
	made := func() *http.Request {
		req, err := http.NewRequestWithContext(s.t.Context(), r.method, s.url+path, bytes.NewReader(body))
		require.NoError(s.t, err)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		switch r.key {
		case "none":
		case "":
			req.Header.Set("Authorization", "Bearer "+s.key)
		default:
			req.Header.Set("Authorization", "Bearer "+r.key)
		}
		for name, value := range r.header {
			if name == "Host" {
				req.Host = value
				continue
			}
			req.Header.Set(name, value)
		}
		return req
	}
	resp, err := http.DefaultTransport.RoundTrip(made())
	require.NoError(s.t, err)
	text, err := readAnswer(resp)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	got := reply{t: s.t, status: resp.StatusCode, header: resp.Header, text: string(text)}
	if media := resp.Header.Get("Content-Type"); strings.HasSuffix(media, "json") && media != "application/x-ndjson" || strings.HasPrefix(media, "application/json") {
		require.NoError(s.t, json.Unmarshal(text, &got.json), "%s", text)
	}
	got.checkCommon()

	if got.status == http.StatusMethodNotAllowed || got.json["code"] == "route_not_found" {
		return got // not a route, so it isn't described
	}
	sent := made()
	checked := exchange{Method: r.method, URL: sent.URL.String(), Host: sent.Host, Header: sent.Header, Body: body, SkipRequest: r.wrong}
	if resp.Header.Get("Content-Type") != "application/x-ndjson" { // which the validator would read as one JSON value
		checked.Response = &answered{resp.StatusCode, resp.Header, text}
	}
	var problems struct{ Request, Response []string }
	validate(s.t, "/exchange", checked, &problems)
	for _, p := range problems.Request {
		s.t.Errorf("%s %s: the request doesn't match the description: %s", r.method, r.path, p)
	}
	for _, p := range problems.Response {
		s.t.Errorf("%s %s: the response doesn't match the description: %d %s\n%s", r.method, r.path, resp.StatusCode, p, text)
	}
	return got
}

// readAnswer reads a response to its end, and of a stream the first byte.
func readAnswer(resp *http.Response) ([]byte, error) {
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		return io.ReadAll(resp.Body)
	}
	first := make([]byte, 1)
	_, err := resp.Body.Read(first)
	return first, err
}

// checkCommon checks the requirements for every response.
func (r reply) checkCommon() {
	r.t.Helper()
	assert.NotEmpty(r.t, r.header.Get("X-Request-Id"))
	assert.Equal(r.t, "nosniff", r.header.Get("X-Content-Type-Options"))
	for name := range r.header {
		assert.False(r.t, strings.HasPrefix(name, "Access-Control-"), "CORS is not on, and yet there is %s", name)
	}
	if r.status < 400 || strings.HasPrefix(r.header.Get("Content-Type"), "text/html") { // a page for a person
		return
	}
	assert.Equal(r.t, "application/problem+json", r.header.Get("Content-Type"), "%d %s", r.status, r.text)
	assert.Equal(r.t, r.header.Get("X-Request-Id"), r.json["request_id"])
	assert.NotEmpty(r.t, r.json["code"])
	assert.NotEmpty(r.t, r.json["detail"])
	assert.InDelta(r.t, r.status, r.json["status"], 0)
}

// is requires a status, and for an error its code.
func (r reply) is(status int, code ...string) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.text)
	if len(code) > 0 {
		require.Equal(r.t, code[0], r.json["code"], "%s", r.text)
	}
	return r
}

// pointers returns the pointers of the problems of an error.
func (r reply) pointers() []string {
	var all []string
	problems, _ := r.json["errors"].([]any)
	for _, p := range problems {
		all = append(all, p.(map[string]any)["pointer"].(string))
	}
	return all
}

// at returns a part of the response: members by name, elements by index.
func (r reply) at(path ...any) any {
	r.t.Helper()
	var v any = r.json
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			require.True(r.t, ok, "no object at %v: %s", path, r.text)
			v = object[step]
		case int:
			array, ok := v.([]any)
			require.True(r.t, ok && step < len(array), "no element at %v: %s", path, r.text)
			v = array[step]
		}
	}
	return v
}

func (s *service) get(path string) reply {
	s.t.Helper()
	return s.send(request{method: "GET", path: path})
}

func (s *service) post(path string, body any) reply {
	s.t.Helper()
	return s.send(request{method: "POST", path: path, body: body})
}

func (s *service) put(path string, body any) reply {
	s.t.Helper()
	return s.send(request{method: "PUT", path: path, body: body})
}

func (s *service) delete(path string) reply {
	s.t.Helper()
	return s.send(request{method: "DELETE", path: path})
}

// members is a JSON object.
type members = map[string]any

// rest describes a REST integration with more or other members.
func rest(name, base string, more ...members) members {
	doc := members{"name": name, "display_name": "The " + name, "base_url": base}
	for _, m := range more {
		for k, v := range m {
			doc[k] = v
		}
	}
	return doc
}

// endpoint describes an endpoint with more or other members.
func endpoint(name string, more ...members) members {
	doc := members{"name": name, "description": "Does " + name, "path": "/" + name, "method": "GET"}
	for _, m := range more {
		for k, v := range m {
			doc[k] = v
		}
	}
	return doc
}

// create creates an integration and returns its id.
func (s *service) create(doc members) string {
	s.t.Helper()
	return s.post("/integrations", doc).is(201).at("id").(string)
}
