package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timeline is what happened to an integration, or in a workspace.
type timeline struct {
	From     time.Time   `json:"from"`
	To       time.Time   `json:"to"`
	BucketMS float64     `json:"bucket_ms"`
	Onset    *onset      `json:"onset"`
	Changes  []feedEvent `json:"changes"`
	More     bool        `json:"more_changes"`
	Before   *feedEvent  `json:"change_before"`
	States   []state     `json:"states"`
	Probes   []bucket    `json:"probes"`
	Calls    []bucket    `json:"calls"`
	Since    *time.Time  `json:"calls_since"`
}

type onset struct {
	Time          time.Time   `json:"time"`
	ShownBy       string      `json:"shown_by"`
	LastHealthyAt *time.Time  `json:"last_healthy_at"`
	Status        string      `json:"status"`
	Message       *string     `json:"message"`
	ChangesBefore []feedEvent `json:"changes_before"`
}

type state struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Status  *string   `json:"status"`
	Message *string   `json:"message"`
}

type bucket struct {
	Start  time.Time `json:"start"`
	OK     int       `json:"ok"`
	Failed int       `json:"failed"`
	P95MS  float64   `json:"p95_ms"`
}

// Last is the state at the end.
func (t *timeline) Last() state {
	if len(t.States) == 0 {
		return state{}
	}
	return t.States[len(t.States)-1]
}

// LastChange is the last change up to the end; nil: none is known.
func (t *timeline) LastChange() *feedEvent {
	for n := range slices.Backward(t.Changes) {
		if t.Changes[n].Authorization == nil {
			return &t.Changes[n]
		}
	}
	return t.Before
}

// Count returns how many calls there were, and how many failed.
func (t *timeline) Count() (c struct{ Calls, Failed int }) {
	for _, b := range t.Calls {
		c.Calls += b.OK + b.Failed
		c.Failed += b.Failed
	}
	return c
}

// Until returns how long before a time an event was, in words.
func (e feedEvent) Until(t time.Time) string { return span(t.Sub(e.Time)) }

// Previous is the version before the event, 0 if there is none.
func (e event) Previous() uint64 { return max(e.Version, 1) - 1 }

// timeline reads the timeline of an integration, or with no name of the workspace.
func (p *page) timeline(name string, q url.Values) (*timeline, error) {
	t, path := &timeline{}, "/timeline"
	if name != "" {
		path = "/integrations/" + name + "/timeline"
	}
	return t, p.get(path, q, t)
}

// timelinePage: the person on call came to see what changed before it broke.
type timelinePage struct {
	I       integration
	Tab     string
	T       *timeline
	At      *feedEvent // the change that was picked
	Diff    []change   // what it changed
	Ranges  []rangeLink
	Earlier string
	Later   string
	In      string // the address of half the span
	Out     string // the address of twice the span
	Chosen  bool   // the span was chosen
	Moments []moment
	Failing []integration // of the workspace
	Link    string        // the same, with both times
	Live    string        // the address of the stream; "": the span has an end

	Changes []feedEvent // of the configuration
	Permits []feedEvent // of what persons have permitted
	Hooks   []delivery  // that failed
}

type rangeLink struct {
	Name, Address string
	Current       bool
}

// A moment is a row of the table below the picture.
type moment struct {
	At     time.Time
	Change *feedEvent
	State  *state
	Hook   *delivery
}

// ranges are the spans that one click chooses.
var ranges = []string{"15m", "1h", "6h", "24h", "7d"}

// span reads from and to: times, or how long ago, such as -1h. Both are empty by default.
func (p *page) span() (q url.Values, err error) {
	q = url.Values{"buckets": {"120"}}
	for _, name := range []string{"from", "to"} {
		switch s := p.Query(name); {
		case strings.HasPrefix(s, "-"):
			ago, err := duration(s[1:])
			if err != nil {
				return nil, &problem{Status: http.StatusUnprocessableEntity, Title: "No such time", Detail: name + " must be a time, or how long ago, such as -1h", Code: "time_invalid"}
			}
			q.Set(name, p.now().Add(-ago).UTC().Format(time.RFC3339Nano))
		case s != "":
			q.Set(name, s)
		}
	}
	return q, nil
}

// duration reads a duration, in days too.
func duration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(min(max(n, 0), 400)) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

func showTimeline(p *page) error {
	d, err := p.loadTimeline()
	if err != nil {
		return err
	}
	return p.render("timeline", d.I.DisplayName+" · Timeline", d)
}

func showWorkspaceTimeline(p *page) error {
	p.Nav = "timeline"
	d, err := p.loadTimeline()
	if err != nil {
		return err
	}
	return p.render("timeline", "Timeline", d)
}

// loadTimeline reads the timeline of the integration of the path, or of the workspace.
func (p *page) loadTimeline() (d timelinePage, err error) {
	if p.r.PathValue("name") != "" {
		d.Tab = "timeline"
		if d.I, err = p.one(); err != nil {
			return d, err
		}
		return d, p.fillTimeline(&d, p.part0())
	}
	if err := p.fillTimeline(&d, ""); err != nil {
		return d, err
	}
	var got listed
	if err := p.get("/integrations", url.Values{"limit": {"200"}, "enabled": {"true"}, "sort_by": {"name"}}, &got); err != nil {
		return d, err
	}
	for _, i := range got.Items {
		if markOf(i.Status()).Class == "bad" {
			d.Failing = append(d.Failing, i)
		}
	}
	return d, nil
}

func (p *page) fillTimeline(d *timelinePage, name string) error {
	q, err := p.span()
	if err != nil {
		return err
	}
	if d.T, err = p.timeline(name, q); err != nil {
		return err
	}
	t := d.T
	d.Chosen = p.Query("from")+p.Query("to") != ""
	for _, r := range ranges {
		d.Ranges = append(d.Ranges, rangeLink{r, p.With("from", "-"+r, "to", "", "at", ""), p.Query("from") == "-"+r && p.Query("to") == ""})
	}
	length := t.To.Sub(t.From)
	shift := func(from, to time.Time) string {
		return p.With("from", from.UTC().Format(time.RFC3339Nano), "to", to.UTC().Format(time.RFC3339Nano))
	}
	d.Earlier, d.Later = shift(t.From.Add(-length/2), t.To.Add(-length/2)), shift(t.From.Add(length/2), t.To.Add(length/2))
	d.In, d.Out = shift(t.From.Add(length/4), t.To.Add(-length/4)), shift(t.From.Add(-length/2), t.To.Add(length/2))
	d.Link = shift(t.From, t.To)
	if p.Query("to") == "" {
		if d.Live = p.With(); strings.Contains(d.Live, "?") {
			d.Live = strings.Replace(d.Live, "?", "/live?", 1)
		} else {
			d.Live += "/live"
		}
	}
	for _, e := range t.Changes {
		if e.Authorization != nil {
			d.Permits = append(d.Permits, e)
		} else {
			d.Changes = append(d.Changes, e)
		}
	}
	if d.Hooks, err = p.failedWebhooks(d.I.ID, t); err != nil {
		return err
	}
	d.Moments = d.moments()
	return p.pick(d)
}

// pick shows the change that the address names.
func (p *page) pick(d *timelinePage) error {
	position, err := strconv.ParseUint(p.Query("at"), 10, 64)
	if err != nil {
		return nil // nothing is picked
	}
	all := d.T.Changes
	if d.T.Before != nil {
		all = append(all, *d.T.Before)
	}
	if d.T.Onset != nil {
		all = append(all, d.T.Onset.ChangesBefore...)
	}
	for _, e := range all {
		if e.Position == position {
			d.At = &e
			d.Diff, err = p.changesOf(e.event)
			return err
		}
	}
	return nil
}

// changesOf returns what an event changed: the difference between its version and the one
// before.
func (p *page) changesOf(e event) ([]change, error) {
	if e.Type != "integration.updated" {
		return nil, nil
	}
	var before, after map[string]any
	for version, into := range map[uint64]*map[string]any{e.Previous(): &before, e.Version: &after} {
		got, err := p.do(ask{method: http.MethodGet, path: p.below("/integrations/" + url.PathEscape(e.IntegrationID)), query: url.Values{"as_of": {strconv.FormatUint(version, 10)}}})
		if err == nil {
			err = decode(got.body, into)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range readOnly {
		delete(before, name)
		delete(after, name)
	}
	return differences("", before, after, nil), nil
}
