//go:build ignore

// Package main drives a generated client: it makes the calls of a plan, and prints the
// status of each answer, or what went wrong, as a JSON array.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
)

type call struct {
	Operation string
	Path      map[string]string
	Body      json.RawMessage
}

// method returns the name of an operation as Go exports it.
func (c call) method() string { return strings.ToUpper(c.Operation[:1]) + c.Operation[1:] }

// param returns the value of a path parameter by its name in any spelling.
func (c call) param(name string) (string, bool) {
	for known, value := range c.Path {
		if plain(known) == plain(name) {
			return value, true
		}
	}
	return "", false
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// order lists the path parameters in the order in which URLs have them.
var order = []string{"workspace_id", "id", "endpoint_name", "approval_id", "call_position", "key_id", "destination_id", "delivery_id", "file", "key_set_id", "subject", "client_document", "tree", "log", "position", "level", "index"}

// params returns the values of the path parameters in order.
func (c call) params() []string {
	var values []string
	for _, name := range order {
		if value, ok := c.Path[name]; ok {
			values = append(values, value)
		}
	}
	return values
}

// decoded returns the body as a value of a type.
func (c call) decoded(t reflect.Type) (reflect.Value, error) {
	v := reflect.New(t)
	if len(c.Body) == 0 {
		return v.Elem(), nil
	}
	return v.Elem(), json.Unmarshal(c.Body, v.Interface())
}

// recorder notes the status of the last answer.
type recorder struct {
	key    string
	status int
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+r.key)
	if strings.Contains(req.URL.Path, "/mcp") {
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		r.status = resp.StatusCode
	}
	return resp, err
}

// attempt makes a call, and returns what a panic says as an error.
func attempt(make func(call) error, c call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return make(c)
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var plan struct {
		URL, Key string
		Calls    []call
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		panic(err)
	}
	record := &recorder{key: plan.Key}
	make := driver(plan.URL, &http.Client{Transport: record})
	results := []any{}
	for _, c := range plan.Calls {
		record.status = 0
		if err := attempt(make, c); err != nil {
			results = append(results, fmt.Sprintf("%d %v", record.status, err))
			continue
		}
		results = append(results, record.status)
	}
	out, _ := json.Marshal(results)
	fmt.Println(string(out))
}
