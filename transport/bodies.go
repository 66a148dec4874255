package transport

import (
	"net/http"
	"strconv"

	"github.com/seed677028b5/integrations/commands"
)

// getBodies shows what a recorded call sent, and what came back.
func (s *Server) getBodies(r *request) (answer, error) {
	if err := s.Audit.Known(r, r.workspace, r.id()); err != nil {
		return answer{}, err
	}
	position, err := strconv.ParseUint(r.Param("call"), 10, 64)
	if err != nil {
		return answer{}, commands.NoSuchCall()
	}
	body, err := s.Commands.CallBodies(r, r.workspace, r.id(), position)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: body}, nil
}
