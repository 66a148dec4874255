package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzhttp"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const positionHeader = "Event-Position"

func (s *Server) createIntegration(r *request) (answer, error) {
	doc, on, err := r.change()
	if err != nil {
		return answer{}, err
	}
	on.IfExists = r.GetHeader("If-Match") != ""
	out, err := s.Commands.CreateIntegration(r, r.caller, doc, on)
	a, err := s.changed(r, out, on, http.StatusCreated, err)
	if a.status == http.StatusCreated {
		a.header["Location"] = "/v1/" + string(r.workspace) + "/integrations/" + string(out.Integration.ID)
	}
	return a, err
}

func (s *Server) updateIntegration(r *request) (answer, error) {
	doc, on, err := r.change()
	if err != nil {
		return answer{}, err
	}
	update := s.Commands.UpdateIntegration
	q := r.query()
	if merge, given := q.text("merge"); given {
		if merge != "endpoints" {
			q.problem("merge", "enum", "must be endpoints: those that the body doesn't name stay")
			return answer{}, domain.RefuseAll(q.problems)
		}
		update = s.Commands.MergeIntegration
	}
	out, err := update(r, r.caller, r.id(), doc, on)
	return s.changed(r, out, on, http.StatusOK, err)
}

func (s *Server) deleteIntegration(r *request) (answer, error) {
	on, err := r.condition()
	if err != nil {
		return answer{}, err
	}
	out, err := s.Commands.DeleteIntegration(r, r.caller, r.id(), "", on)
	if err == nil && !on.DryRun {
		s.waitForWrite(r, s.Wait, out.Position)
		return answer{status: http.StatusNoContent, header: map[string]string{positionHeader: position(out)}}, nil
	}
	return s.changed(r, out, on, http.StatusNoContent, err)
}

// changed answers a change with the resulting state, once the read model shows it. A dry run
// answers with that state and the differences.
func (s *Server) changed(r *request, out commands.Outcome, on commands.Condition, status int, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	if on.DryRun {
		body := dryRunAnswer{DryRun: true, Changes: showChanges(out.Changes)}
		if !out.Integration.Deleted {
			body.Integration = new(show(projections.Integration{Integration: out.Integration}))
			body.Integration.RemovedEndpoints = out.Removed
			if body.OtherClient, err = s.otherClient(r, out.Integration); err != nil {
				return answer{}, err
			}
		}
		return answer{status: http.StatusOK, body: body}, nil
	}
	read, err := s.readAfter(r, out, status)
	if err != nil {
		return answer{}, err
	}
	body, err := withRemoved(read.Body, out.Removed)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: status, body: body, header: map[string]string{
		positionHeader: position(out), "ETag": etag(read),
	}}
	if out.Replayed {
		a.header["Idempotent-Replayed"] = "true"
	}
	return a, nil
}

// readAfter waits until the read model shows a change, and returns what a GET then answers.
func (s *Server) readAfter(r *request, out commands.Outcome, status int) (projections.Answer, error) {
	shown := projections.Integration{Integration: out.Integration}
	if status == http.StatusCreated { // it has not been probed, so nothing of it needs to be waited for
		read, err := projections.AnswerOf(shown)
		s.waitForWrite(r, s.Wait, out.Position)
		return read, err
	}
	s.waitForWrite(r, s.Wait, out.Position)
	if !out.Replayed && !domain.ScopeOf(r).Narrow() {
		if read, err := s.Read.Answer(r, r.workspace, out.Integration.ID); err == nil && read.Version == out.Integration.Version {
			return read, nil
		}
	}
	if stored, err := s.Read.Get(r, r.workspace, out.Integration.ID); err == nil && belongs(stored, out) {
		shown.LastProbe = stored.LastProbe
	}
	return projections.AnswerOf(shown)
}

// withRemoved returns what is shown of an integration after a change that removed endpoints.
func withRemoved(body []byte, endpoints []string) (encoded, error) {
	if len(endpoints) == 0 {
		return append(body, '\n'), nil
	}
	names, err := json.Marshal(endpoints)
	return slices.Concat(body[:len(body)-1], []byte(`,"removed_endpoints":`), names, []byte("}\n")), err
}

// otherClient counts the authorizations that keep a client which is not the one of an
// integration. It returns nil for an integration without one.
func (s *Server) otherClient(r *request, i domain.Integration) (*int, error) {
	if !i.Consents() || i.Auth.ClientID == "" {
		return nil, nil
	}
	page, err := s.Read.Authorizations(r, r.workspace, projections.AuthorizationQuery{
		AuthorizationFilter: projections.AuthorizationFilter{ID: i.ID, Incarnation: i.Incarnation, NotClientID: i.Auth.ClientID}, Limit: 1,
	})
	return &page.Total, err
}

// belongs reports whether the probe of stored may be shown with an outcome: a repeated
// request doesn't show a later one.
func belongs(stored projections.Integration, out commands.Outcome) bool {
	return stored.LastProbe != nil && stored.Incarnation == out.Integration.Incarnation &&
		(!out.Replayed || !stored.LastProbe.At.After(out.Integration.UpdatedAt))
}

func position(out commands.Outcome) string { return strconv.FormatUint(out.Position, 10) }

// waitForWrite waits until the read model shows a position, for as long as a write may wait.
// The write has been made either way.
func (s *Server) waitForWrite(ctx context.Context, wait func(context.Context, uint64) error, position uint64) {
	if s.WriteWait <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.WriteWait)
	defer cancel()
	_ = wait(ctx, position) // the caller has the position and can wait for it too
}

// readWait bounds how long a read waits for the position it names, which the log has.
const readWait = time.Second

// waitForRead waits until the read model shows the position that a read names, or refuses
// with Unavailable. A position beyond the end of the log is refused.
func (s *Server) waitForRead(r *request) error {
	named := r.GetHeader(positionHeader)
	if named == "" {
		return nil
	}
	position, err := strconv.ParseUint(named, 10, 64)
	if err != nil {
		return domain.Errorf(domain.Invalid, "position_invalid", "Event-Position must be a whole number")
	}
	if err := s.Live.Check(r, position); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r, readWait)
	defer cancel()
	return s.Wait(ctx, position)
}

func (s *Server) getIntegration(r *request) (answer, error) {
	shown, err := s.integration(r)
	if err != nil {
		return answer{}, err
	}
	tag := etag(shown)
	header := map[string]string{"ETag": tag, gzhttp.HeaderNoCompression: "true"}
	if matches(r.tags("If-None-Match"), tag) {
		return answer{status: http.StatusNotModified, header: header}, nil
	}
	return answer{status: http.StatusOK, body: encoded(append(shown.Body, '\n')), header: header}, nil
}

// integration returns what is shown of the integration of the path, at present or as of the
// as_of parameter.
func (s *Server) integration(r *request) (projections.Answer, error) {
	at, err := r.asOf()
	if err != nil {
		return projections.Answer{}, err
	}
	if at != nil {
		then, err := s.Audit.AsOf(r, r.workspace, r.id(), *at)
		if err != nil {
			return projections.Answer{}, err
		}
		return projections.AnswerOf(projections.Integration{Integration: then})
	}
	if err := s.waitForRead(r); err != nil {
		return projections.Answer{}, err
	}
	return s.Read.Answer(r, r.workspace, r.id())
}

func (s *Server) listIntegrations(r *request) (answer, error) {
	q, token, err := r.listQuery()
	if err != nil {
		return answer{}, err
	}
	if q.After, err = s.Cursors.After(r.workspace, q, token); err != nil {
		return answer{}, err
	}
	if err := s.waitForRead(r); err != nil {
		return answer{}, err
	}
	page, err := s.Read.Answers(r, r.workspace, q)
	if err != nil {
		return answer{}, err
	}
	buffer, _ := s.pages.Get().(*[]byte)
	if page.Release != nil {
		defer page.Release() // showList takes a copy
	}
	body, err := showList(*buffer, page, s.Cursors.Next(r.workspace, q, page.Next))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusOK, body: body}
	if r.Request.ProtoMajor == 1 { // HTTP/2 may still send from a buffer whose stream the client has reset
		a.written = func() { s.keepPage(buffer, body) }
	}
	return a, nil
}

// maxKeptPage is how large a page may be whose buffer is used again. Most are a third of it.
const maxKeptPage = 512 << 10

// keepPage lets another list use the buffer of a page that is written. Without this, pages would be
// most of the garbage of the service.
func (s *Server) keepPage(buffer *[]byte, page encoded) {
	if cap(page) <= maxKeptPage {
		*buffer = page[:0]
		s.pages.Put(buffer)
	}
}

// maxCounted is how many matches of a search are counted, unless exact_total asks for all.
const maxCounted = 1000

// showList joins the answers of a page, in a buffer if it is large enough.
func showList(buffer []byte, page projections.AnswerPage, next string) (encoded, error) {
	const around = 200 // more than the members after the items take
	size := around
	for _, item := range page.Items {
		size += len(item.Body) + 1
	}
	body := append(slices.Grow(buffer[:0], size), `{"items":[`...)
	for n, item := range page.Items {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, item.Body...)
	}
	end, err := json.Marshal(listAnswer{HasMore: page.HasMore, ContinuationToken: nullable(next), Total: page.Total, TotalIsAtLeast: page.AtLeast})
	if err != nil {
		return nil, err
	}
	end[0] = ','
	return append(append(append(body, ']'), end...), '\n'), nil
}

func (r *request) listQuery() (projections.Query, string, error) {
	p := r.query()
	q := projections.Query{Limit: p.integer("limit", 50, 1, 200)}
	q.Enabled, q.Builtin = p.boolean("enabled"), p.boolean("builtin")
	q.Protocol = p.protocol("protocol")
	search, given := p.text("search")
	if n := utf8.RuneCountInString(search); given && (n < 1 || n > 200) {
		p.problem("search", "length", "must have 1 to 200 characters")
	}
	q.Search = search
	if exact := p.boolean("exact_total"); exact == nil || !*exact {
		q.CountTo = maxCounted
	}
	sortBy, given := p.text("sort_by")
	var err error
	// A + that was not escaped arrives as a space.
	if q.Sort, err = projections.ParseSort(strings.Replace(sortBy, " ", "+", 1)); err != nil || given && sortBy == "" {
		p.problem("sort_by", "enum", "must be name, created_at or updated_at, optionally prefixed with + or -")
	}
	token, _ := p.text("continuation_token")
	return q, token, domain.RefuseAll(p.problems)
}
