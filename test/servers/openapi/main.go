// Openapi validates requests and responses against an OpenAPI document, the file that
// it is started with. It prints the URL of its API, and ends with its standard input.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"
)

// exchange is a request and its response, where there is one.
type exchange struct {
	Method, URL, Host string
	Header            http.Header
	Body              []byte
	SkipRequest       bool // the request is invalid on purpose
	Response          *struct {
		Status int
		Header http.Header
		Body   []byte
	}
}

// request returns the request, to be read once.
func (e exchange) request() (*http.Request, error) {
	req, err := http.NewRequest(e.Method, e.URL, bytes.NewReader(e.Body))
	if err != nil {
		return nil, err
	}
	req.Header, req.Host = e.Header, e.Host
	return req, nil
}

func messages(problems []*errors.ValidationError) []string {
	all := []string{}
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%s %s %v", p.Message, p.Reason, p.SchemaValidationErrors))
	}
	return all
}

func validate(v validator.Validator, e exchange) (wrong struct{ Request, Response []string }, err error) {
	req, err := e.request()
	if err != nil {
		return wrong, err
	}
	if !e.SkipRequest {
		_, problems := v.ValidateHttpRequestSync(req)
		wrong.Request = messages(problems)
	}
	if e.Response != nil {
		if req, err = e.request(); err != nil {
			return wrong, err
		}
		_, problems := v.ValidateHttpResponse(req, &http.Response{
			StatusCode: e.Response.Status, Header: e.Response.Header, Body: io.NopCloser(bytes.NewReader(e.Response.Body)), Request: req,
		})
		wrong.Response = messages(problems)
	}
	return wrong, nil
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return errs[0]
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /document", func(w http.ResponseWriter, _ *http.Request) {
		_, problems := v.ValidateDocument()
		_ = json.NewEncoder(w).Encode(messages(problems))
	})
	mux.HandleFunc("POST /exchange", func(w http.ResponseWriter, r *http.Request) {
		var e exchange
		err := json.NewDecoder(r.Body).Decode(&e)
		if err == nil {
			if wrong, failed := validate(v, e); failed == nil {
				_ = json.NewEncoder(w).Encode(wrong)
				return
			} else {
				err = failed
			}
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, mux) }()
	fmt.Println("http://" + l.Addr().String())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
