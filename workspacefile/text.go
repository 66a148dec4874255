package workspacefile

import (
	"fmt"
	"io"

	"github.com/seed677028b5/integrations/internal/terminal"
)

// WriteText writes the plan for people. Integrations that stay as they are are counted
// and not listed.
func (p *Plan) WriteText(to io.Writer) error {
	count := map[Action]int{}
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format+"\n", args...)
		}
	}
	for _, s := range p.Steps {
		count[s.Action]++
		s.writeText(line)
	}
	line("%d to create, %d to change, %d to delete, %d unchanged", count[Create], count[Change], count[Delete], count[Keep])
	switch {
	case p.Refused() && p.Applied:
		line("the steps marked as refused were not applied; all others were")
	case p.Refused():
		line("the plan can't be applied: a step is refused; nothing was written")
	case p.Applied:
		line("applied")
	default:
		line("nothing was written; run again with --apply to apply the plan")
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
	line("%-7s %s%s", s.Action, s.Name, refusal)
	for _, c := range s.Changed {
		if c.Secret {
			line("        %s: a secret changed", c.Pointer)
			continue
		}
		line("        %s: %s -> %s", c.Pointer, terminal.ShortJSON(c.Old), terminal.ShortJSON(c.New))
	}
	for _, p := range s.Problems {
		line("        line %d, %s: %s", p.Line, p.Pointer, p.Detail)
	}
}
