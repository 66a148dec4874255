package workspacefile

import (
	"fmt"
	"io"

	"github.com/seed677028b5/integrations/internal/terminal"
)

// WriteText writes the plan for people. Integrations that stay as they are are counted
// and not listed. Next says how to apply a plan that was only made.
func (p *Plan) WriteText(to io.Writer, next string) error {
	count := map[Action]int{}
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format+"\n", args...)
		}
	}
	for _, s := range p.Steps {
		count[s.Action]++
		if p.Remaining == 0 || s.Done || s.Refusal != "" {
			s.writeText(line)
		}
	}
	line("%d to create, %d to change, %d to delete, %d unchanged", count[Create], count[Change], count[Delete], count[Keep])
	if p.Remaining > 0 {
		line("interrupted: %d steps remain; run again to apply them", p.Remaining)
	}
	switch {
	case p.Refused() && p.Applied:
		line("the steps marked as refused were not applied")
	case p.Refused():
		line("the plan can't be applied: a step is refused; nothing was written")
	case p.Applied && p.Remaining == 0:
		line("applied")
	case p.Applied:
	default:
		line("nothing was written; %s", next)
	}
	return err
}

func (s *Step) writeText(line func(format string, args ...any)) {
	if s.Action == Keep && s.Refusal == "" {
		return
	}
	refusal := ""
	if s.Refusal != "" {
		refusal = " refused: " + s.Refusal
	}
	line("%-7s %s%s", s.Action, terminal.Printable(s.Name), refusal)
	for _, c := range s.Changed {
		if c.Secret {
			line("        %s: a secret changed", terminal.Printable(c.Pointer))
			continue
		}
		line("        %s: %s -> %s", terminal.Printable(c.Pointer), terminal.ShortJSON(c.Old), terminal.ShortJSON(c.New))
	}
	for _, pointer := range s.Lost {
		line("        %s: the secret that is there is destroyed", terminal.Printable(pointer))
	}
	for _, p := range s.Problems {
		at := terminal.Printable(p.Pointer)
		if p.Line > 0 {
			at = fmt.Sprintf("line %d, %s", p.Line, at)
		}
		line("        %s: %s", at, terminal.Printable(p.Detail))
	}
}
