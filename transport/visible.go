package transport

// visible refuses an integration in the path that the key of the caller does not see, before
// anything else is checked: it answers as one that is not there. The read model knows most;
// what it lacks may be deleted, and have a history that the key sees.
func (s *Server) visible(r *request) error {
	if !r.key.Narrow() {
		return nil
	}
	if _, err := s.Read.Get(r, r.workspace, r.id()); err == nil {
		return nil
	}
	return s.Commands.Visible(r, r.workspace, r.id())
}
