package transport

import (
	"net/http"

	"github.com/seed677028b5/integrations/domain"
)

// reshapedAnswer is what the steps of an endpoint make of an answer.
type reshapedAnswer struct {
	AfterFilter  any     `json:"after_filter"`
	AfterMapping any     `json:"after_mapping"`
	FinalResult  string  `json:"final_result"`
	Error        *string `json:"error"`
}

// reshape tries the steps of an endpoint on an answer that the caller has, so that one can be
// changed without calling an upstream for each try.
func (s *Server) reshape(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, false)
	if err != nil {
		return answer{}, err
	}
	t, err := domain.ReadTrial(doc)
	if err != nil {
		return answer{}, err
	}
	got := s.Commands.Reshape(r, t.Endpoint, t.Status, t.Response)
	return answer{status: http.StatusOK, body: reshapedAnswer{AfterFilter: got.AfterFilter, AfterMapping: got.AfterMapping, FinalResult: got.FinalResult, Error: nullable(got.Error)}}, nil
}
