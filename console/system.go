package console

import (
	"encoding/json"
	"net/http"
)

// systemPage: an operator came to see whether the service itself is well.
type systemPage struct {
	Ready    bool
	Problem  *problem
	Position uint64 `json:"position"`
	Head     uint64 `json:"head"`
	Lag      uint64 `json:"lag"`
	Origin   string
}

func showSystem(p *page) error {
	p.Nav = "system"
	d := systemPage{Origin: p.origin()}
	got, err := p.do(ask{method: http.MethodGet, path: "/readyz"})
	if err == nil {
		d.Ready, err = true, json.Unmarshal(got.body, &d)
	}
	if refused, ok := err.(*problem); ok { //nolint:errorlint // do returns it as it is
		d.Problem = refused
	} else if err != nil {
		return err
	}
	return p.render("system", "System", d)
}
