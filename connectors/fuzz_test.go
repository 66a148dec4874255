package connectors

import (
	"strings"
	"sync"
	"testing"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func FuzzAParameterNeverLeavesItsPlace(f *testing.F) {
	f.Add("/items/{p}/x", "../../admin", "")
	f.Add("/{p}", "//evil.example/", "simple")
	f.Add("/{p}{p}?q={p}", ".", "label")
	f.Add("{p}", "\\..\\", "matrix")
	f.Add("/a{?p*}", "x&key=#y", "")
	f.Add("/a", "x&key=#y", "reserved")
	f.Add("/a", "x=1", "deepObject")
	r, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, value, style string) {
		const base = "https://api.example.com:8443/v1/a%2Fb/"
		e := domain.Endpoint{Method: "GET", Path: path}
		e.Parameters = domain.Parameters{"query": {In: domain.InQuery, Style: style, AllowReserved: style == "reserved"}}
		params := map[string]any{"query": []any{value, value}}
		for _, name := range e.Placeholders() {
			params[name] = value
			e.Parameters[name] = domain.Parameter{In: domain.InPath, Style: style}
			if value > "m" {
				params[name] = map[string]any{value: value}
			}
		}
		out, problems, fault := restConnector{r.caller, plainJSON}.build(t.Context(), domain.Call{Integration: domain.Integration{Configuration: domain.Configuration{BaseURL: base}}, Endpoint: e}, nil, params)
		if fault != nil || len(problems) > 0 {
			return
		}
		sent := out.Request.URL.String()
		if domain.Origin(sent) != domain.Origin(base) || !strings.HasPrefix(sent, "https://api.example.com:8443/v1/a%2Fb/") {
			t.Errorf("%q with %q leads to %s", path, value, sent)
		}
		if keys := out.Request.URL.Query(); keys.Has("key") && !strings.Contains(path, "key") {
			t.Errorf("%q with %q has a member of its own: %s", path, value, sent)
		}
		for _, segment := range strings.Split(out.Request.URL.Path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%q with %q walks: %s", path, value, sent)
			}
		}
		if out.Request.URL.Host != "api.example.com:8443" {
			t.Errorf("%q with %q goes to %s", path, value, out.Request.URL.Host)
		}
	})
}

func TestCallsAtOnceKeepTheirSecretsApart(t *testing.T) {
	r, base := onLoopback(t), startUpstream(t, echo)
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			secret := strings.Repeat(string(rune('a'+n)), 20)
			c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, secret)
			result, err := r.Call(t.Context(), c)
			if err != nil || result.Error != "" || !strings.Contains(result.FinalResult, scrub.Mask) || strings.Contains(result.FinalResult, secret) {
				t.Errorf("call %d came to %s, %v", n, result.Error, err)
			}
		})
	}
	all.Wait()
}
