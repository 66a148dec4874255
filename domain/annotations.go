package domain

// Annotations describe what a call does, as the ToolAnnotations of MCP do. They are hints
// for clients: nothing is enforced by them. nil: by the method, or unknown.
type Annotations struct {
	ReadOnly    *bool `json:"read_only,omitempty"`
	Destructive *bool `json:"destructive,omitempty"` // may delete or overwrite
	Idempotent  *bool `json:"idempotent,omitempty"`  // a repetition has no further effect
	OpenWorld   *bool `json:"open_world,omitempty"`  // reaches what the upstream doesn't own, such as the web
}

// readAnnotations reads the annotations member, nil when it is absent, null or empty.
func readAnnotations(in *object) *Annotations {
	var a Annotations
	in.object("annotations", func(o *object) {
		hint := func(name string, into **bool) {
			if given, ok := member[bool](o, name, "true or false"); ok {
				*into = &given
			}
		}
		hint("read_only", &a.ReadOnly)
		hint("destructive", &a.Destructive)
		hint("idempotent", &a.Idempotent)
		hint("open_world", &a.OpenWorld)
		o.done()
	})
	if a == (Annotations{}) {
		return nil
	}
	return &a
}
