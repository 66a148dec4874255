package commands

import "github.com/seed677028b5/integrations/domain"

// An Asker is what the key may do that asked for an approval.
type Asker struct {
	domain.Scope

	MayInvoke bool // call endpoints as a tool
	MayTest   bool
	MayExec   bool // start processes
	MayActFor bool // call on behalf of a subject
}
