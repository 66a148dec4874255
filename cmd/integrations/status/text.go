package status

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/seed677028b5/integrations/internal/terminal"
)

// WriteText writes the report for people, as of now.
func (r *Report) WriteText(to io.Writer, now time.Time) error {
	table := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	line("service\t%s", r.Service)
	line("log\t%d events\t%s", r.Log.Messages, r.Log.Describe())
	line("read model\tgeneration %d", r.Generation)
	line("integrations\tposition %d of %d\t%d behind", r.Integrations.Position, r.Integrations.Head, r.Integrations.Lag)
	line("probes\tposition %d of %d\t%d behind", r.Probes.Position, r.Probes.Head, r.Probes.Lag)
	line("parked\t%d", len(r.Parked))
	if !r.TokensPaused.IsZero() {
		line("token renewals\tpaused\tfor tokens from before %s: see integrations resume-tokens", r.TokensPaused.Format(time.RFC3339))
	}
	line("dead letters\t%d", r.DeadLetters)
	for _, s := range r.SignIn {
		line("tokens of\t%s\t%d grants, %d keys, on %s", terminal.Printable(s.Issuer), s.Grants, s.Keys, terminal.Printable(s.Machine))
	}
	r.writeFollowers(line, now)
	r.writeTrees(line, now)
	line("\nSTREAM\tMESSAGES\tBYTES")
	for _, stream := range r.Streams {
		line("%s\t%d\t%d", stream.Name, stream.Messages, stream.Bytes)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range r.Parked {
		line("parked: %s/%s since position %d: %s", p.Workspace, p.ID, p.Position, terminal.Printable(p.Reason))
	}
	for _, d := range r.LastDead {
		line("dead letter: %s/%s position %d, %s: %s", d.Workspace, d.ID, d.Position, d.At.UTC().Format(time.RFC3339), terminal.Printable(d.Reason))
	}
	for _, j := range r.Journals {
		line("damaged journal: %s, last written %s, %d bytes: calls may not be recorded; see the runbook", terminal.Printable(j.Path), j.At.Format(time.RFC3339), j.Bytes)
	}
	for _, s := range r.SignIn {
		for what, problem := range map[string]string{"the grants of tokens can't be read, the previous ones stay in force": s.FileProblem, "the OpenID provider can't be reached": s.IssuerProblem} {
			if problem != "" {
				line("wrong on %s: %s: %s", terminal.Printable(s.Machine), what, terminal.Printable(problem))
			}
		}
	}
	if r.Problem != "" {
		line("wrong: %s", r.Problem)
	}
	return table.Flush()
}

// writeFollowers writes a line for each. The age of the last progress distinguishes a
// reader that has nothing left, which reports that every 10 s, from one that is gone.
func (r *Report) writeFollowers(line func(format string, args ...any), now time.Time) {
	line("webhooks pending\t%d\toldest %s", r.Webhooks.Count, ago(now, r.Webhooks.Oldest))
	if len(r.Followers) == 0 {
		return
	}
	line("\nFOLLOWER\tPOSITION\tHEAD\tBEHIND\tBEHIND FOR\tLAST PROGRESS AGO")
	for _, f := range r.Followers {
		line("%s\t%d\t%d\t%d\t%s\t%s", terminal.Printable(f.Name), f.Position, f.Head, f.Lag, ago(now, f.Oldest), ago(now, f.Progress))
	}
}

// writeTrees writes a line for each tree: how far its log is signed, and what its last checkpoint
// is the checkpoint of.
func (r *Report) writeTrees(line func(format string, args ...any), now time.Time) {
	if len(r.Trees) == 0 {
		return
	}
	line("\nTREE\tSIGNED\tHEAD\tBEHIND\tLAST SIGNED AGO\tORIGIN")
	for _, t := range r.Trees {
		line("%s\t%d\t%d\t%d\t%s\t%s", t.Log, t.Signed, t.Head, t.Lag, ago(now, t.SignedAt), terminal.Printable(t.Origin))
	}
}

func ago(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return max(0, now.Sub(at)).Round(time.Second).String()
}
