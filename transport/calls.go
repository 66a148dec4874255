package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// testAnswer is the result of a test of an endpoint, step by step.
type testAnswer struct {
	StatusCode      *int              `json:"status_code"`
	DurationMS      milliseconds      `json:"duration_ms"`
	Retries         int               `json:"retries"`
	RawResponse     any               `json:"raw_response"`
	Truncated       bool              `json:"truncated"`
	AfterFilter     any               `json:"after_filter"`
	AfterMapping    any               `json:"after_mapping"`
	FinalResult     string            `json:"final_result"`
	Error           *string           `json:"error"`
	ErrorCode       *domain.ErrorCode `json:"error_code"`
	Request         callRequestAnswer `json:"request"`
	ResponseHeaders http.Header       `json:"response_headers"`
	Attempts        []attemptAnswer   `json:"attempts"`
	AuthorizeURL    *string           `json:"authorize_url"` // by which a person can sign in, where that is what is missing
}

type callRequestAnswer struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers http.Header `json:"headers"`
	Body    *string     `json:"body"`
}

type attemptAnswer struct {
	StatusCode *int         `json:"status_code"`
	DurationMS milliseconds `json:"duration_ms"`
	Error      *string      `json:"error"`
}

func (s *Server) testEndpoint(r *request) (answer, error) {
	params, dryRun, err := r.test()
	if err != nil {
		return answer{}, err
	}
	result, err := s.Commands.TestEndpoint(r, r.caller, r.id(), r.Param("name"), params, dryRun)
	if err != nil {
		return answer{}, err
	}
	return called(result), nil
}

// test reads the body of a test: params and dry_run only.
func (r *request) test() (params map[string]any, dryRun bool, err error) {
	if err := r.actFor(); err != nil {
		return nil, false, err
	}
	doc, _, err := r.body(maxTestBody, true)
	if err != nil {
		return nil, false, err
	}
	problems := unknownMembers("", doc, "params", "dry_run")
	params = map[string]any{}
	for name, value := range doc {
		ok := true
		switch {
		case name == "params" && value != nil:
			params, ok = value.(map[string]any)
		case name == "dry_run" && value != nil:
			dryRun, ok = value.(bool)
		}
		if !ok {
			problems = append(problems, domain.Problem{Pointer: "/" + name, Code: "type", Detail: "params must be an object, dry_run true or false"})
		}
	}
	return params, dryRun, domain.RefuseAll(problems)
}

func showCall(result domain.CallResult) testAnswer {
	a := testAnswer{
		StatusCode: nullable(result.StatusCode), DurationMS: milliseconds(result.Duration), Retries: max(len(result.Attempts)-1, 0),
		RawResponse: result.RawResponse, Truncated: result.Truncated, AfterFilter: result.AfterFilter, AfterMapping: result.AfterMapping,
		FinalResult: result.FinalResult, Error: nullable(result.Error), ErrorCode: nullable(result.ErrorCode),
		Request: callRequestAnswer{
			Method: result.Request.Method, URL: result.Request.URL, Headers: headers(result.Request.Headers), Body: nullable(result.Request.Body),
		},
		AuthorizeURL: nullable(result.AuthorizeURL), ResponseHeaders: headers(result.ResponseHeaders), Attempts: make([]attemptAnswer, len(result.Attempts)),
	}
	for n, attempt := range result.Attempts {
		a.Attempts[n] = attemptAnswer{
			StatusCode: nullable(attempt.StatusCode), DurationMS: milliseconds(attempt.Duration), Error: nullable(attempt.Error),
		}
	}
	return a
}

func headers(h http.Header) http.Header {
	if h == nil {
		return http.Header{}
	}
	return h
}

// probeAnswer is the result of a test of a connection.
type probeAnswer struct {
	Status       domain.ProbeStatus `json:"status"`
	AuthResolved bool               `json:"auth_resolved"`
	HTTPStatus   *int               `json:"http_status"`
	DurationMS   milliseconds       `json:"duration_ms"`
	Message      string             `json:"message"`
	TestedAt     time.Time          `json:"tested_at"`
	Steps        []domain.ProbeStep `json:"steps"`
}

func (s *Server) testConnection(r *request) (answer, error) {
	probe, position, err := s.Commands.TestConnection(r, r.caller, r.id())
	if err == nil {
		s.waitForWrite(r, s.WaitForProbe, position)
	}
	return probed(probe, err)
}

func (s *Server) testUnsavedConnection(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	probe, err := s.Commands.TestUnsavedConnection(r, r.caller, doc)
	return probed(probe, err)
}

func probed(p domain.Probe, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: probeAnswer{
		Status: p.Status, AuthResolved: p.AuthResolved, HTTPStatus: nullable(p.HTTPStatus), DurationMS: milliseconds(p.Duration),
		Message: p.Message, TestedAt: instant(p.At), Steps: orEmpty(p.Steps),
	}}, nil
}
