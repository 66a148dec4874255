package domain

// Rules are the checks that need a compiler outside the standard library. They are
// passed in so that a bad expression is refused when it is written.
type Rules struct {
	Expression func(string) error // compiles a JMESPath expression
	Template   func(string) error // compiles a result template
	Schema     func([]byte) error // compiles a JSON Schema (2020-12)

	// Stdio has the slots of each profile that can start a process, in the order of
	// mcp_args. Without profiles no process can be started.
	Stdio map[string][]Slot

	keepEndpoints bool // Merge: endpoints that the request doesn't name stay
}

func (r Rules) expression(s string) (string, string) {
	return broken("expression_invalid", "is not a JMESPath expression", r.Expression(s))
}

func (r Rules) template(s string) (string, string) {
	return broken("template_invalid", "is not a result template", r.Template(s))
}
