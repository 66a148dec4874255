package transport_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// measured is what became of one document.
type measured struct {
	name                           string
	total, offered, skipped, notes int
	called, accepted, misplaced    int
	seconds, megabytes             float64
	refusals                       map[string]int
}

// TestEveryOperationOfADocumentIsCalledAsItDescribes discovers the documents of the
// folder DOCUMENTS, creates integrations with all that is offered, fills every
// parameter from its schema, and calls each endpoint against the program PRISM
// (@stoplight/prism-cli), which serves the document and refuses what doesn't fit it.
func TestEveryOperationOfADocumentIsCalledAsItDescribes(t *testing.T) {
	folder, prism := os.Getenv("DOCUMENTS"), os.Getenv("PRISM")
	if folder == "" || prism == "" {
		t.Skip("DOCUMENTS names no folder of OpenAPI documents, or PRISM no program")
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	s := serve(t)
	var all []measured
	for _, file := range files {
		if only := os.Getenv("DOCUMENT"); only != "" && !strings.HasPrefix(file.Name(), only) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		require.NoError(t, err)
		var document map[string]any
		if yaml.Unmarshal(text, &document) != nil || document["openapi"] == nil && document["swagger"] == nil {
			continue
		}
		document = plain(document).(map[string]any)
		m := s.measure(t, prism, file.Name(), text, document)
		all = append(all, m)
		t.Logf("%s: %+v", m.name, m.refusals)
	}
	t.Log(table(all))
	called, accepted := 0, 0
	for _, m := range all {
		require.Equal(t, m.total, m.offered+m.skipped, m.name)
		called, accepted = called+m.called, accepted+m.accepted
	}
	require.GreaterOrEqual(t, accepted*100, called*98, "of %d calls %d fit", called, accepted)
}

func table(all []measured) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-26s %6s %7s %7s %6s %6s %8s %9s %7s %6s\n", "document", "total", "offered", "skipped", "notes", "called", "accepted", "misplaced", "seconds", "MB")
	sum := measured{name: "all"}
	for _, m := range all {
		sum.total, sum.offered, sum.skipped, sum.notes = sum.total+m.total, sum.offered+m.offered, sum.skipped+m.skipped, sum.notes+m.notes
		sum.called, sum.accepted, sum.misplaced = sum.called+m.called, sum.accepted+m.accepted, sum.misplaced+m.misplaced
	}
	for _, m := range append(all, sum) {
		fmt.Fprintf(&b, "%-26s %6d %7d %7d %6d %6d %8d %9d %7.2f %6.0f\n", m.name, m.total, m.offered, m.skipped, m.notes, m.called, m.accepted, m.misplaced, m.seconds, m.megabytes)
	}
	return b.String()
}

// raw posts JSON to the service and returns its answer. Unlike send it doesn't validate
// the answer, which may have megabytes.
func (s *service) raw(method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	data, err := json.Marshal(body)
	require.NoError(s.t, err)
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/v1/acme"+path, bytes.NewReader(data))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	for {
		resp, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, resp.Body.Close())
		if resp.StatusCode == http.StatusTooManyRequests {
			time.Sleep(100 * time.Millisecond)
			req.Body = io.NopCloser(bytes.NewReader(data))
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var answer map[string]any
		require.NoError(s.t, decoder.Decode(&answer), "%s", text)
		return resp.StatusCode, answer
	}
}

func (s *service) measure(t *testing.T, prism, name string, text []byte, document map[string]any) measured {
	m := measured{name: name, refusals: map[string]int{}}
	status, found := s.raw("POST", "/integrations", rest("d"+strings.Map(letters, name), "https://api.example"))
	require.Equal(t, 201, status, "%v", found)
	id := found["id"].(string)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	started := time.Now()
	status, found = s.raw("POST", "/integrations/"+id+"/discover", members{"openapi": string(text)})
	m.seconds = time.Since(started).Seconds()
	runtime.ReadMemStats(&after)
	m.megabytes = float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20)
	require.Equal(t, 200, status, "%s: %v", name, found)
	require.Nil(t, found["error"], name)
	for token := found["continuation_token"]; token != nil; {
		_, page := s.raw("POST", "/integrations/"+id+"/discover", members{"openapi": string(text), "continuation_token": token})
		for _, list := range []string{"endpoints", "skipped", "notes"} {
			found[list] = append(found[list].([]any), page[list].([]any)...)
		}
		token = page["continuation_token"]
	}
	offers := found["endpoints"].([]any)
	total, _ := found["total"].(json.Number).Int64()
	m.total, m.offered, m.skipped, m.notes = int(total), len(offers), len(found["skipped"].([]any)), len(found["notes"].([]any))
	for _, one := range found["skipped"].([]any) {
		m.refusals["skipped: "+fmt.Sprint(one)]++
	}

	served := members{}
	maps.Copy(served, document)
	servedBy(served)
	at := startPrism(t, prism, served)
	var last *recorded
	var mu sync.Mutex
	target, err := url.Parse(at)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		mu.Lock()
		last.violations = r.Header.Get("sl-violations")
		mu.Unlock()
		return nil
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		mu.Lock()
		last = &recorded{r.URL, r.Header.Clone(), body, ""}
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	front.CloseClientConnections()
	data, err := json.Marshal(served)
	require.NoError(t, err)
	_, found = s.raw("POST", "/integrations/"+id+"/discover", members{"openapi": string(data), "limit": 1000})
	offers = found["endpoints"].([]any)
	for n := 0; n < len(offers); {
		size, batch := 0, []any{}
		for ; n < len(offers) && len(batch) < 200 && size < 700_000; n++ {
			one, _ := json.Marshal(offers[n])
			size += len(one)
			batch = append(batch, offers[n])
		}
		status, made := s.raw("POST", "/integrations", rest(fmt.Sprintf("c%d-%s", n, strings.Map(letters, name)), front.URL, members{"endpoints": batch}))
		require.Equal(t, 201, status, "%s: %v", name, made)
		for _, one := range batch {
			offer := one.(map[string]any)
			params := fill(offer["input_schema"], 0)
			mu.Lock()
			last = nil
			mu.Unlock()
			status, result := s.raw("POST", "/integrations/"+made["id"].(string)+"/endpoints/"+offer["name"].(string)+"/test", members{"params": params})
			m.called++
			mu.Lock()
			sent := last
			mu.Unlock()
			m.count(offer, params, status, result, sent)
		}
	}
	return m
}

// recorded is a request that arrived.
type recorded struct {
	url    *url.URL
	header http.Header
	body   []byte

	violations string // that Prism reports
}

// count judges one call by what Prism answered and by what arrived.
func (m *measured) count(offer map[string]any, params any, status int, result map[string]any, sent *recorded) {
	title := fmt.Sprint(offer["name"], " ", offer["method"], " ", offer["path"])
	raw, _ := result["raw_response"].(map[string]any)
	kind := fmt.Sprint(raw["type"])
	verdict := sent.wrong(raw["validation"])
	switch {
	case sent == nil:
		problems, _ := json.Marshal(cmp.Or[any](result["errors"], result["error"]))
		given, _ := json.Marshal(params)
		m.refusals[fmt.Sprintf("not sent: %s: %d %s for %.300s", title, status, problems, given)]++
		return
	case verdict != "", strings.Contains(kind, "NO_PATH"), strings.Contains(kind, "NO_METHOD"),
		strings.Contains(kind, "UNSUPPORTED_MEDIA"), strings.Contains(kind, "NOT_ACCEPTABLE"), strings.Contains(kind, "INVALID_CONTENT"):
		m.refusals[fmt.Sprintf("refused: %s: %s %.600s %.300s", title, kind[strings.LastIndex(kind, "#")+1:], verdict, sent.url.RawQuery+" "+string(sent.body))]++
		return
	case strings.Contains(kind, "prism/errors"):
		m.refusals["Prism: "+kind[strings.LastIndex(kind, "#")+1:]]++
	case result["response_status"] == nil && result["error"] != nil:
		m.refusals[fmt.Sprintf("failed: %s: %v", title, result["error"])]++
	}
	m.accepted++
	if wrong := misplaced(offer, params, sent); wrong != "" {
		m.misplaced++
		m.refusals[fmt.Sprintf("misplaced: %s: %s in %s %s", title, wrong, sent.url, sent.body)]++
	}
}

// wrong returns what Prism found wrong with the request: in a header where it answers as
// the document describes for that, in the body otherwise.
func (r *recorded) wrong(validation any) string {
	if r == nil {
		return ""
	}
	var all []map[string]any
	_ = json.Unmarshal([]byte(r.violations), &all)
	list, _ := validation.([]any)
	for _, one := range list {
		all = append(all, one.(map[string]any))
	}
	var found []map[string]any
	for _, one := range all {
		if one["severity"] == "Error" && !strings.HasPrefix(fmt.Sprint(one["location"]), "[response") {
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		return ""
	}
	text, _ := json.Marshal(found)
	return string(text)
}

// misplaced returns the first parameter that is not where the offer lists it.
func misplaced(offer map[string]any, params any, sent *recorded) string {
	given, _ := params.(map[string]any)
	listed, _ := offer["parameters"].(map[string]any)
	for _, property := range slices.Sorted(maps.Keys(listed)) {
		p := listed[property].(map[string]any)
		name, ok := p["name"].(string)
		if !ok {
			name = property
		}
		_, isObject := given[property].(map[string]any)
		list, isList := given[property].([]any)
		if given[property] == nil || isObject || isList && len(list) == 0 {
			continue
		}
		if p["in"] == "header" && sent.header.Get(name) == "" || p["in"] == "query" && !strings.Contains(sent.url.RawQuery, url.QueryEscape(name)) {
			return property
		}
	}
	return ""
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}
