package health

import "github.com/seed677028b5/integrations/domain"

// Waiting returns how many checks wait for a result of an integration.
func (r *Results) Waiting(of domain.Ref) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting[of])
}
