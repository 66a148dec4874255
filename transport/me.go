package transport

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// meAnswer is the key that a request was made with, or what its token permits.
type meAnswer struct {
	Type        string              `json:"type"` // api_key or token
	ID          string              `json:"id"`
	WorkspaceID *domain.Workspace   `json:"workspace_id"` // null if it is not exactly one
	Workspaces  []domain.Workspace  `json:"workspaces"`   // null: all
	Name        string              `json:"name"`
	Permissions []access.Permission `json:"permissions"`

	Integrations []string `json:"integrations"` // null: all
	Tools        []string `json:"tools"`        // null: all
	Methods      []string `json:"methods"`      // null: all
	Subjects     []string `json:"subjects"`     // null: all

	Issuer    *string    `json:"issuer"`  // of a token
	Subject   *string    `json:"subject"` // of a token
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

func showMe(k access.Key) meAnswer {
	a := meAnswer{
		Type: "api_key", ID: k.ID, Name: k.Name, Permissions: k.Permissions, Integrations: k.Integrations, Tools: k.Tools, Methods: k.Methods, Subjects: k.Subjects,
		CreatedAt: instant(k.CreatedAt), ExpiresAt: nullable(instant(k.ExpiresAt)),
	}
	if k.Workspace != "" {
		a.Workspaces = []domain.Workspace{k.Workspace}
	}
	if in := k.SignedIn; in != nil {
		a.Type, a.Issuer, a.Subject = "token", &in.Issuer, &in.Subject
		if !in.Everywhere {
			a.Workspaces = in.Workspaces
		}
	}
	if len(a.Workspaces) == 1 {
		a.WorkspaceID = &a.Workspaces[0]
	}
	return a
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
		answer{status: http.StatusOK, body: showMe(key)}.write(c)
	}
}
