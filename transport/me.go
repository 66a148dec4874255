package transport

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// meAnswer is the key that a request was made with.
type meAnswer struct {
	ID          string              `json:"id"`
	WorkspaceID *domain.Workspace   `json:"workspace_id"` // null for an operator's, which opens every workspace
	Name        string              `json:"name"`
	Permissions []access.Permission `json:"permissions"`
	CreatedAt   time.Time           `json:"created_at"`
	ExpiresAt   *time.Time          `json:"expires_at"`
}

// serveMe answers with the caller's own key, whatever it permits.
func (s *Server) serveMe(limits *limiters) gin.HandlerFunc {
	return func(c *gin.Context) {
		key, err := s.authenticate(c)
		if err == nil {
			err = limits.allow(c, key.ID, read, s.Now())
		}
		if err == nil {
			err = (&request{Context: c}).refuseOtherParameters("")
		}
		if err != nil {
			s.refuse(c, err)
			return
		}
		answer{status: http.StatusOK, body: meAnswer{
			ID: key.ID, WorkspaceID: nullable(key.Workspace), Name: key.Name, Permissions: key.Permissions,
			CreatedAt: instant(key.CreatedAt), ExpiresAt: nullable(instant(key.ExpiresAt)),
		}}.write(c)
	}
}
